//! Our [`Storage`] as the object store that the table log is kept through.
//!
//! The log gets the deadlines, fault classes, local disk and fault injection of everything else. A file of the log must
//! appear whole or not at all, so it is written under a name of its own in the promoter's stage and renamed without
//! overwrite; an owner that was fenced has no stage to rename from, so it can never add to the log.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
};

use super::mutate::{self, Expected, Moved};
use crate::fault::Fault;
use crate::storage::{Content, Entry, Kind, LakePath, Storage, StorageError};

/// Name of this store in its errors.
const STORE: &str = "lake";

/// What of it can be shared with the blocking threads.
struct Inner {
    storage: Arc<dyn Storage>,
    stage: LakePath,
    staged: AtomicU64,
    fault: Mutex<Option<Fault>>,
}

/// An [`ObjectStore`] over a [`Storage`]. All its work is done on blocking threads of the runtime it is called on.
#[derive(Clone)]
pub(crate) struct LakeStore {
    inner: Arc<Inner>,
}

impl LakeStore {
    /// The store; new files are written below `stage` first.
    pub(crate) fn new(storage: Arc<dyn Storage>, stage: LakePath) -> Self {
        let (staged, fault) = (AtomicU64::new(0), Mutex::new(None));
        Self { inner: Arc::new(Inner { storage, stage, staged, fault }) }
    }

    /// The last fault of storage since this was asked, which says more than what the log's library makes of it.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        self.inner.fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }

    async fn blocking<T, F>(&self, work: F) -> object_store::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> object_store::Result<T> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(answer) => answer,
            Err(error) => Err(generic(format!("the storage thread of the table log ended: {error}"))),
        }
    }
}

impl Inner {
    fn note(&self, fault: Fault) -> object_store::Error {
        let message = fault.message.clone();
        *self.fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(fault);
        generic(message)
    }

    fn refuse(&self, error: StorageError) -> object_store::Error {
        match error.kind {
            Kind::NotFound => not_found(&error.path),
            _ => self.note(error.into()),
        }
    }

    fn put(&self, location: &Path, bytes: &[u8], overwrite: bool) -> object_store::Result<()> {
        let target = lake_path(location)?;
        let staged = self.stage.join(format!("log-{:06}", self.staged.fetch_add(1, Ordering::Relaxed)));
        self.storage.create(&staged, Content::Bytes(bytes)).map_err(|error| match error.kind {
            Kind::NotFound => {
                self.note(Fault::fenced("promote.fenced", format!("another promoter has taken over: {error}")))
            }
            _ => self.note(error.into()),
        })?;
        mutate::make_dirs(&*self.storage, &target.parent()).map_err(|error| self.note(error.into()))?;
        if overwrite {
            // Only hints and checkpoints are overwritten; readers do without them while they are not there.
            mutate::delete(&*self.storage, &target).map_err(|error| self.note(error.into()))?;
        }
        match mutate::rename(&*self.storage, &staged, &target, Expected::File(bytes.len() as u64)) {
            Ok(Moved::Done) => Ok(()),
            Ok(Moved::Taken(_)) => {
                mutate::discard(&*self.storage, &staged);
                let source = "somebody else wrote it".into();
                Err(object_store::Error::AlreadyExists { path: location.to_string(), source })
            }
            Ok(Moved::Gone) => Err(self
                .note(Fault::fenced("promote.fenced", format!("another promoter has taken over: {staged} is gone")))),
            Err(error) => Err(self.note(error.into())),
        }
    }

    fn walk(&self, dir: &LakePath, found: &mut Vec<ObjectMeta>) -> object_store::Result<()> {
        for entry in self.storage.list_or_empty(dir).map_err(|error| self.refuse(error))? {
            if entry.is_dir {
                self.walk(&entry.path, found)?;
            } else {
                found.push(meta(&entry)?);
            }
        }
        Ok(())
    }

    fn list_sorted(&self, prefix: Option<&Path>) -> object_store::Result<Vec<ObjectMeta>> {
        let dir = prefix.map_or_else(|| Ok(LakePath::root()), lake_path)?;
        let mut found = Vec::new();
        self.walk(&dir, &mut found)?;
        found.sort_by(|a, b| a.location.as_ref().cmp(b.location.as_ref()));
        Ok(found)
    }
}

#[async_trait]
impl ObjectStore for LakeStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        let overwrite = match opts.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return Err(unsupported("conditional update")),
        };
        let location = location.clone();
        let bytes = Bytes::from(payload);
        self.blocking(move |inner| inner.put(&location, &bytes, overwrite)).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { store: self.clone(), location: location.clone(), buffer: BytesMut::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let path = lake_path(location)?;
        let (meta, range, bytes) = self
            .blocking(move |inner| {
                let entry = inner.storage.stat(&path).map_err(|error| inner.refuse(error))?;
                let meta = meta(&entry)?;
                options.check_preconditions(&meta)?;
                let range: Range<u64> = match &options.range {
                    Some(range) => range.as_range(entry.bytes).map_err(|error| generic(error.to_string()))?,
                    None => 0..entry.bytes,
                };
                let bytes = if options.head {
                    Bytes::new()
                } else {
                    inner.storage.read(&path, range.start, range.end).map_err(|error| inner.refuse(error))?
                };
                Ok((meta, range, bytes))
            })
            .await?;
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::default(), extensions: Default::default() })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let path = lake_path(&location)?;
                    store
                        .blocking(move |inner| inner.storage.delete(&path).map_err(|error| inner.note(error.into())))
                        .await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        stream::once(async move { store.blocking(move |inner| inner.list_sorted(prefix.as_ref())).await })
            .flat_map(|answer| match answer {
                Ok(found) => stream::iter(found.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(error) => stream::iter(vec![Err(error)]),
            })
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        let dir = prefix.map_or_else(|| Ok(LakePath::root()), lake_path)?;
        let mut entries =
            self.blocking(move |inner| inner.storage.list_or_empty(&dir).map_err(|error| inner.refuse(error))).await?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let mut answer =
            ListResult { common_prefixes: Vec::new(), objects: Vec::new(), extensions: Default::default() };
        for entry in &entries {
            if entry.is_dir {
                answer.common_prefixes.push(store_path(&entry.path)?);
            } else {
                answer.objects.push(meta(entry)?);
            }
        }
        Ok(answer)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        let (from, to) = (from.clone(), to.clone());
        let overwrite = matches!(options.mode, CopyMode::Overwrite);
        self.blocking(move |inner| {
            let source = lake_path(&from)?;
            let bytes = inner.storage.read_whole(&source).map_err(|error| inner.refuse(error))?;
            inner.put(&to, &bytes, overwrite)
        })
        .await
    }
}

/// An upload in parts: gathered in memory (checkpoints are small), written as one file.
struct Upload {
    store: LakeStore,
    location: Path,
    buffer: BytesMut,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        for chunk in &data {
            self.buffer.extend_from_slice(chunk);
        }
        Box::pin(async { Ok(()) })
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let bytes = std::mem::take(&mut self.buffer).freeze();
        self.store.put_opts(&self.location, bytes.into(), PutOptions::default()).await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.buffer.clear();
        Ok(())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "upload of {}", self.location)
    }
}

impl fmt::Debug for LakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE} {}", self.inner.storage.url())
    }
}

impl fmt::Display for LakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

fn generic(message: String) -> object_store::Error {
    object_store::Error::Generic { store: STORE, source: message.into() }
}

fn not_found(path: &str) -> object_store::Error {
    object_store::Error::NotFound { path: path.to_owned(), source: "it is not there".into() }
}

fn unsupported(what: &str) -> object_store::Error {
    object_store::Error::NotSupported { source: what.to_owned().into() }
}

fn lake_path(location: &Path) -> object_store::Result<LakePath> {
    LakePath::parse(location.as_ref()).ok_or_else(|| generic(format!("{location} is not a path of the lake")))
}

fn store_path(path: &LakePath) -> object_store::Result<Path> {
    Path::parse(path.as_str()).map_err(|error| generic(error.to_string()))
}

fn meta(entry: &Entry) -> object_store::Result<ObjectMeta> {
    Ok(ObjectMeta {
        location: store_path(&entry.path)?,
        last_modified: SystemTime::from(entry.modified).into(),
        size: entry.bytes,
        e_tag: None,
        version: None,
    })
}
