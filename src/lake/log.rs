//! The Delta Lake log of a Processed table, kept through the kernel library.
//!
//! A commit that did not clearly succeed is neither done nor failed: a fresh snapshot is asked for the number of the
//! last promotion (`txn` action) before anything is decided. The version of the log and the number of a promotion are
//! two numbers, since others may commit metadata. New columns come in the entry of the first files that have them.
//! Nobody else may add or remove files: every plan knows the table's files before it, and a log that shows others stops
//! the table with a hint.

mod schema;
mod stats;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::{io, thread};

use arrow::array::{Array, StringArray};
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::schema::{DataType as LogType, SchemaRef as LogSchema, StructField, StructType};
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel::transaction::{CommitResult, Transaction, UpdateTableOperation};
use delta_kernel::{Engine, FileMeta, FilteredEngineData, KernelError, Snapshot, SnapshotRef};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::parquet::DataFileMetadata;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder, build_add_file_metadata};
use jiff::civil::Date;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use self::schema::Readiness;
use super::columns::{ColumnSpec, DATE_PARTITION};
use super::mutate;
use super::names::{Home, processed_dir};
use super::object_adapter::LakeStore;
use super::plan::{Census, Plan, PlannedFile};
use crate::fault::{Fault, Verdict};
use crate::storage::{LakePath, Storage, runtime};

/// Who the log's commits name.
const ENGINE: &str = concat!("forebay/", env!("CARGO_PKG_VERSION"));

/// How often a commit is tried against a fresh snapshot.
const ATTEMPTS: u32 = 5;

/// A checkpoint is written at every multiple of this log version.
const CHECKPOINT_EVERY: u64 = 20;

/// The log of one table.
pub struct TableLog {
    table: String,
    root: LakePath,
    url: Url,
    app: String,
    storage: Arc<dyn Storage>,
    store: LakeStore,
    engine: Arc<DefaultEngine<TokioMultiThreadExecutor>>,
    runtime: Option<Runtime>,
}

/// What the log says of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// Version of the log.
    pub version: u64,
    /// Number of the last promotion in it; none when it holds none of ours.
    pub seq: Option<u64>,
    /// Columns without the path partition.
    pub columns: Vec<ColumnSpec>,
    /// The table's files, by path.
    pub live: Vec<LiveFile>,
}

/// A file that the log holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveFile {
    /// Path below the table.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Value of the path partition; none for rows without a good date.
    pub dt: Option<String>,
}

impl LogState {
    /// The files as a plan records them.
    pub fn census(&self) -> Census {
        Census::of(self.live.iter().map(|file| file.path.as_str()))
    }
}

impl TableLog {
    /// The log of the table whose files lie below `root`. New log files are written below `stage` first.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub fn open(storage: &Arc<dyn Storage>, table: &str, root: LakePath, stage: LakePath) -> Result<Self, Fault> {
        let runtime =
            runtime::start(Builder::new_multi_thread().thread_name("table-log")).map_err(|error| no_thread(&error))?;
        let store = LakeStore::new(Arc::clone(storage), stage);
        let executor = Arc::new(TokioMultiThreadExecutor::new(runtime.handle().clone()));
        let engine = Arc::new(DefaultEngineBuilder::new(Arc::new(store.clone())).with_task_executor(executor).build());
        // The scheme only tells the library that this is none of the stores it knows.
        let mut url = Url::parse("lake:///").map_err(|error| Fault::internal("promote.log", error.to_string()))?;
        url.set_path(&format!("/{root}/"));
        Ok(Self {
            table: table.to_owned(),
            app: format!("forebay-{table}"),
            storage: Arc::clone(storage),
            root,
            url,
            store,
            engine,
            runtime: Some(runtime),
        })
    }

    /// The log of a table, to be looked at only.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub fn look(storage: &Arc<dyn Storage>, table: &str) -> Result<Self, Fault> {
        // Nobody has this stage, so nothing can be written.
        let stage = Home::processed(table).stages().join("none");
        Self::open(storage, table, processed_dir(table), stage)
    }

    /// What the log says now; none when the table has no log yet.
    ///
    /// # Errors
    ///
    /// Storage, or a log that cannot be read.
    pub fn state(&self) -> Result<Option<LogState>, Fault> {
        self.apart(|| match self.snapshot()? {
            Some(snapshot) => self.state_of(&snapshot).map(Some),
            None => Ok(None),
        })
    }

    /// The newest promotion that is in the log; without a look at what else it says.
    ///
    /// # Errors
    ///
    /// As [`Self::state`].
    pub fn newest_promotion(&self) -> Result<Option<u64>, Fault> {
        self.apart(|| match self.snapshot()? {
            Some(snapshot) => self.seq_of(&snapshot),
            None => Ok(None),
        })
    }

    /// Where an entry of the log lies.
    pub fn entry_path(&self, version: u64) -> LakePath {
        self.root.join("_delta_log").join(format!("{version:020}.json"))
    }

    /// Puts `plan` into the log, once: done already is done. Says what went wrong with the checkpoint that may be due;
    /// the table does without it.
    ///
    /// # Errors
    ///
    /// Storage; another promoter; files in the log that no plan of ours put there.
    pub fn commit(&self, plan: &Plan) -> Result<Option<Fault>, Fault> {
        self.apart(|| {
            let mut last = Fault::internal("promote.log", "the commit was never tried");
            for _ in 0..ATTEMPTS {
                match self.try_commit(plan) {
                    Ok(Attempt::Done(snapshot)) => return Ok(snapshot.and_then(|done| self.checkpoint(&done).err())),
                    Ok(Attempt::Look(fault)) => last = fault,
                    Err(fault) => return Err(fault),
                }
            }
            Err(last)
        })
    }

    /// Runs library code on a thread of its own: it must not wait inside the runtime of whoever calls.
    fn apart<T: Send>(&self, work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
        thread::scope(|scope| {
            let thread = thread::Builder::new().spawn_scoped(scope, work).map_err(|error| no_thread(&error))?;
            let broken_off =
                |_| Err(Fault::internal("promote.log", format!("the table log of {} broke off", self.table)));
            thread.join().unwrap_or_else(broken_off)
        })
    }

    fn fault(&self, error: &KernelError) -> Fault {
        let fault = self.store.take_fault().unwrap_or_else(|| Fault::retry("promote.log", error.to_string()));
        fault.while_doing(format_args!("table log of {}", self.table))
    }

    fn snapshot(&self) -> Result<Option<SnapshotRef>, Fault> {
        let entries = self.storage.list_or_empty(&self.root.join("_delta_log"))?;
        if !entries.iter().any(|entry| !entry.is_dir) {
            return Ok(None);
        }
        let built = Snapshot::builder_for(self.url.as_str()).build(self.engine());
        built.map(Some).map_err(|error| self.fault(&error))
    }

    fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    fn seq_of(&self, snapshot: &SnapshotRef) -> Result<Option<u64>, Fault> {
        let seq = snapshot.get_app_id_version(&self.app, self.engine()).map_err(|error| self.fault(&error))?;
        Ok(seq.and_then(|seq| u64::try_from(seq).ok()))
    }

    fn state_of(&self, snapshot: &SnapshotRef) -> Result<LogState, Fault> {
        let seq = self.seq_of(snapshot)?;
        let schema = snapshot.schema();
        let columns = schema.fields().filter(|field| field.name() != DATE_PARTITION).map(schema::column).collect();
        let mut live = Vec::new();
        for batch in self.scan(snapshot)? {
            let visited = batch.visit_scan_files(Vec::new(), |found: &mut Vec<LiveFile>, file| {
                found.push(LiveFile {
                    path: file.path,
                    bytes: file.size.unsigned_abs(),
                    rows: file.stats.map_or(0, |stats| stats.num_records),
                    dt: file.partition_values.get(DATE_PARTITION).filter(|value| !value.is_empty()).cloned(),
                });
            });
            live.extend(visited.map_err(|error| self.fault(&error))?);
        }
        live.sort_unstable();
        Ok(LogState { version: snapshot.version(), seq, columns, live })
    }

    fn scan(&self, snapshot: &SnapshotRef) -> Result<Vec<delta_kernel::scan::ScanMetadata>, Fault> {
        let read = || snapshot.clone().scan_builder().build()?.scan_metadata(self.engine())?.collect::<Result<_, _>>();
        read().map_err(|error: KernelError| self.fault(&error))
    }

    fn try_commit(&self, plan: &Plan) -> Result<Attempt, Fault> {
        let Some(snapshot) = self.snapshot()? else {
            if plan.before.files > 0 {
                return Err(Fault::halt(
                    "promote.log",
                    format!(
                        "the table log of {} is gone: {}/_delta_log is empty though {} files are promoted; restore it",
                        self.table, self.root, plan.before.files
                    ),
                ));
            }
            return self.create(plan);
        };
        let state = self.state_of(&snapshot)?;
        if state.seq.is_some_and(|seq| seq >= plan.seq) {
            let entry = self.entry_path(state.version);
            return Ok(match mutate::confirm(&*self.storage, &entry)? {
                Some(_) => Attempt::Done(None),
                None => Attempt::Look(Fault::retry("promote.log", format!("{entry} was there a moment ago"))),
            });
        }
        self.check_files(&state, plan)?;
        let missing = self.missing(&state, plan)?;
        let kinds = missing.iter().map(|column| column.data_type()).collect::<Result<Vec<_>, _>>()?;
        match schema::readiness(&snapshot, &kinds, jiff::Timestamp::now().as_millisecond()) {
            Readiness::Ready => {}
            Readiness::Entry(entry) => return self.put_entry(snapshot.version() + 1, entry),
            Readiness::Foreign => {
                let message = format!(
                    "the table log of {} cannot hold timestamp_ntz: its protocol was changed by hand; enable the table \
                     feature timestampNtz with the engine that did, or take timestamp in the mapping",
                    self.table
                );
                return Err(Fault::halt("promote.schema", message));
            }
        }
        let data = !(plan.add.is_empty() && plan.remove.is_empty());
        let mut builder = snapshot.clone().update_table(UpdateTableOperation::Merge, ENGINE, data);
        for column in missing {
            builder = builder.add_column(self.field(column)?);
        }
        let built = builder.build(self.engine(), Box::new(FileSystemCommitter::new()));
        let mut transaction = built.map_err(|error| self.fault(&error))?;
        self.remove(&snapshot, &mut transaction, plan)?;
        self.add_and_commit(transaction, plan)
    }

    /// The columns that the log lacks: they come with the first files that have them, in the same entry.
    fn missing<'p>(&self, state: &LogState, plan: &'p Plan) -> Result<Vec<&'p ColumnSpec>, Fault> {
        let mut missing = Vec::new();
        for column in &plan.columns {
            match state.columns.iter().find(|known| known.name.eq_ignore_ascii_case(&column.name)) {
                None => missing.push(column),
                Some(known) if known == column => {}
                Some(known) => {
                    let message = format!(
                        "the table log of {} has column {} of type {}, and {} of type {} is promoted; was its schema \
                         changed by hand?",
                        self.table, known.name, known.kind, column.name, column.kind
                    );
                    return Err(Fault::halt("promote.schema", message));
                }
            }
        }
        Ok(missing)
    }

    /// Puts an entry of its own into the log; whatever came of it, the log is looked at again.
    fn put_entry(&self, version: u64, entry: String) -> Result<Attempt, Fault> {
        let url = self.url.join(&format!("_delta_log/{version:020}.json"));
        let url = url.map_err(|error| Fault::internal("promote.log", error.to_string()))?;
        match self.engine().storage_handler().put(&url, entry.into(), false) {
            Ok(()) | Err(KernelError::FileAlreadyExists(_)) => {
                let what = format!("the table log of {} was told of timestamp_ntz, again and again", self.table);
                Ok(Attempt::Look(Fault::retry("promote.log", what)))
            }
            Err(error) => self.unclear(&error),
        }
    }

    fn create(&self, plan: &Plan) -> Result<Attempt, Fault> {
        let builder = create_table(self.url.as_str(), self.log_schema(&plan.columns)?, ENGINE, true)
            .with_data_layout(DataLayout::partitioned([DATE_PARTITION]));
        match builder.build(self.engine(), Box::new(FileSystemCommitter::new())) {
            Ok(transaction) => self.add_and_commit(transaction, plan),
            Err(error) => Ok(Attempt::Look(self.fault(&error))),
        }
    }

    fn add_and_commit<S: std::fmt::Debug>(
        &self,
        mut transaction: Transaction<S>,
        plan: &Plan,
    ) -> Result<Attempt, Fault> {
        let seq = i64::try_from(plan.seq)
            .map_err(|_| Fault::internal("promote.log", format!("promotion number {} is too great", plan.seq)))?;
        transaction = transaction.with_transaction_id(self.app.clone(), seq);
        self.add(&mut transaction, plan)?;
        match transaction.commit(self.engine()) {
            Ok(CommitResult::Committed(done)) => Ok(Attempt::Done(done.post_commit_snapshot().cloned())),
            Ok(CommitResult::Conflicted(lost)) => Ok(Attempt::Look(Fault::retry(
                "promote.log",
                format!("somebody else writes version {} of the table log of {}", lost.conflict_version(), self.table),
            ))),
            Ok(CommitResult::Retryable(failed)) => self.unclear(&failed.error),
            Err(error) => self.unclear(&error),
        }
    }

    /// A commit without a clear answer: look again, unless storage said that looking cannot help.
    fn unclear(&self, error: &KernelError) -> Result<Attempt, Fault> {
        let fault = self.fault(error);
        if fault.verdict == Verdict::Retry { Ok(Attempt::Look(fault)) } else { Err(fault) }
    }

    fn check_files(&self, state: &LogState, plan: &Plan) -> Result<(), Fault> {
        check_census(&self.table, &self.root, state, plan.before)?;
        let live: HashSet<&str> = state.live.iter().map(|file| file.path.as_str()).collect();
        match plan.remove.iter().find(|path| !live.contains(path.as_str())) {
            None => Ok(()),
            Some(path) => Err(foreign(&self.table, &self.root, &format!("{path} is not in the log any more"))),
        }
    }

    fn add<S>(&self, transaction: &mut Transaction<S>, plan: &Plan) -> Result<(), Fault> {
        if plan.add.is_empty() {
            return Ok(());
        }
        let kernel = |error: KernelError| self.fault(&error);
        let state = transaction.write_state().map_err(kernel)?;
        for file in &plan.add {
            let values = HashMap::from([(DATE_PARTITION.to_owned(), self.partition_value(file)?)]);
            let context = state.write_context_builder().with_partition_values(values).build().map_err(kernel)?;
            let entry = self.storage.stat(&self.root.join(&file.path))?;
            let location =
                self.url.join(&file.path).map_err(|error| Fault::internal("promote.log", error.to_string()))?;
            let meta = FileMeta::new(location, entry.modified.as_millisecond(), file.bytes);
            let stats = stats::record(file, &plan.columns)?;
            transaction
                .add_files(build_add_file_metadata(DataFileMetadata::new(meta, stats), &context).map_err(kernel)?);
        }
        Ok(())
    }

    fn partition_value(&self, file: &PlannedFile) -> Result<Scalar, Fault> {
        let Some(dt) = &file.dt else { return Ok(Scalar::Null(LogType::DATE)) };
        let date: Date = dt.parse().map_err(|error| {
            Fault::internal("promote.log", format!("{}: dt={dt} is not a date: {error}", file.path))
        })?;
        Ok(Scalar::Date(stats::epoch_day(date)))
    }

    fn remove(&self, snapshot: &SnapshotRef, transaction: &mut Transaction, plan: &Plan) -> Result<(), Fault> {
        if plan.remove.is_empty() {
            return Ok(());
        }
        let gone: HashSet<&str> = plan.remove.iter().map(String::as_str).collect();
        for batch in self.scan(snapshot)? {
            let (data, mut selected) = batch.scan_files.into_parts();
            selected.resize(data.len(), true);
            let batch = ArrowEngineData::try_from_engine_data(data).map_err(|error| self.fault(&error))?;
            let paths = batch.record_batch().column_by_name("path");
            let Some(paths) = paths.and_then(|paths| paths.as_any().downcast_ref::<StringArray>()) else {
                return Err(Fault::internal("promote.log", format!("the table log of {} lists no paths", self.table)));
            };
            for (row, keep) in selected.iter_mut().enumerate() {
                *keep = *keep && paths.is_valid(row) && gone.contains(paths.value(row));
            }
            if selected.contains(&true) {
                let files = FilteredEngineData::try_new(batch, selected).map_err(|error| self.fault(&error))?;
                transaction.remove_files(files);
            }
        }
        Ok(())
    }

    fn checkpoint(&self, snapshot: &SnapshotRef) -> Result<(), Fault> {
        if snapshot.version() == 0 || !snapshot.version().is_multiple_of(CHECKPOINT_EVERY) {
            return Ok(());
        }
        snapshot.checkpoint(self.engine(), None).map(drop).map_err(|error| self.fault(&error))
    }

    fn log_schema(&self, columns: &[ColumnSpec]) -> Result<LogSchema, Fault> {
        let mut fields = columns.iter().map(|column| self.field(column)).collect::<Result<Vec<_>, _>>()?;
        fields.push(StructField::nullable(DATE_PARTITION, LogType::DATE));
        StructType::try_new(fields).map(Arc::new).map_err(|error| self.fault(&error))
    }

    /// A column of the log. All are nullable: a column that was added later is null in older rows.
    fn field(&self, column: &ColumnSpec) -> Result<StructField, Fault> {
        let kind = schema::log_type(&column.data_type()?).ok_or_else(|| {
            let what = format!("column {} of {}: the table log holds no {}", column.name, self.table, column.kind);
            Fault::halt("promote.schema", what)
        })?;
        Ok(StructField::nullable(&column.name, kind))
    }
}

impl Drop for TableLog {
    fn drop(&mut self) {
        // Not waiting: this may run inside the runtime of an actor, where waiting is forbidden.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How one try of a commit ended.
enum Attempt {
    /// In the log, with the snapshot after it if this try put it there.
    Done(Option<SnapshotRef>),
    /// Unknown: look again.
    Look(Fault),
}

/// Holds the files in the log against what our plans say.
///
/// # Errors
///
/// They differ: somebody else added or removed files.
pub fn check_census(table: &str, root: &LakePath, state: &LogState, expected: Census) -> Result<(), Fault> {
    let found = state.census();
    if found == expected {
        return Ok(());
    }
    let what = format!("{} files are in the log, {} are expected", found.files, expected.files);
    Err(foreign(table, root, &what))
}

fn no_thread(error: &io::Error) -> Fault {
    Fault::retry("process.no-thread", format!("no thread for the table log: {error}"))
}

fn foreign(table: &str, root: &LakePath, what: &str) -> Fault {
    Fault::halt(
        "promote.foreign-files",
        format!(
            "somebody else changed the files of table {table} ({what}); forebay is the only one that may: undo that \
             commit (RESTORE to the version before it), or delete {root}/_delta_log and the table's files and promote again"
        ),
    )
}

#[cfg(test)]
mod tests;
