//! From the columns of a mapping to scopes, tables and buffers.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::paths::{NodeId, OUTSIDE, Paths, TooLarge, written};
use super::plan::{
    BufferId, ColumnId, ColumnPlan, MESSAGE, Program, ScopeId, ScopeKind, ScopePlan, Shape, Share, TableId, TablePlan,
    Watch,
};
use super::states::determine;
use crate::lexical::Caster;
use crate::model::mapping::{Child, Column, Kind, Mapping, Name, Repeat, Take, Unmapped};

/// The namespace of `xsi:nil`.
pub(in crate::flow::parse) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A program under construction.
pub(super) struct Builder {
    paths: Paths,
    root: NodeId,
    columns: Vec<ColumnPlan>,
    scopes: Vec<ScopePlan>,
    tables: Vec<TablePlan>,
    shapes: Vec<Shape>,
    pending: usize,
}

/// Where the columns of a table (or the fields of a struct) are.
struct Surroundings<'a> {
    /// What their paths start from.
    node: NodeId,
    /// What a value found there belongs to.
    scope: ScopeId,
    /// What a bad value there spoils.
    judge: ScopeId,
    /// What keeps to itself what is wrong there: see [`ColumnPlan::held`].
    held: Option<u16>,
    table: TableId,
    /// The scopes of rows and row groups around it, outermost first, with their places; its own row last.
    around: &'a [(ScopeId, NodeId)],
    /// What is written before the name of a field.
    prefix: &'a str,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            paths: Paths::new(),
            root: OUTSIDE,
            columns: Vec::new(),
            scopes: Vec::new(),
            tables: Vec::new(),
            shapes: Vec::new(),
            pending: 0,
        }
    }

    pub(super) fn build(mut self, mapping: &Mapping) -> Result<Program, TooLarge> {
        let xsi = |local: &str| Name { namespace: Some(Arc::from(XSI)), local: Arc::from(local) };
        let nil = self.paths.name(&xsi("nil"))?;
        let mut spoken_of = vec![nil];
        for local in ["type", "schemaLocation", "noNamespaceSchemaLocation"] {
            spoken_of.push(self.paths.name(&xsi(local))?);
        }
        self.root = self.paths.child(OUTSIDE, mapping.root.as_ref(), None)?;
        self.scope(ScopeKind::Message)?;
        let around = self.row_groups(mapping)?;
        let (row, node) = around.last().copied().unwrap_or((MESSAGE, self.root));
        self.table(&mapping.columns, &mapping.children, None, &around, (row, node))?;
        let watch = match &mapping.unmapped {
            Unmapped::Ignore => Watch::Off,
            Unmapped::Count => Watch::Count,
            Unmapped::Reject => Watch::Reject,
            Unmapped::Collect(_) => {
                let buffer = self.shape(Shape::Leaf(Kind::String))?;
                self.tables[0].buffers.push(buffer);
                Watch::Collect(buffer)
            }
        };
        spoken_of.extend(self.paths.predicates.iter().map(|predicate| predicate.attribute));
        let tables = number(self.tables.len())?;
        for scope in &mut self.scopes {
            if matches!(scope.kind, ScopeKind::Message | ScopeKind::Group | ScopeKind::Row) {
                scope.tables = 0..tables;
            }
        }
        let mut marks = 0;
        for scope in &mut self.scopes {
            scope.mark = marks;
            marks += scope.tables.len();
        }
        let names = self.paths.vocabulary.len();
        let (moves, mut states) = determine(&self.paths.nodes, &self.paths.predicates, names)?;
        for state in &mut states {
            state.row = state.begins.iter().rev().find_map(|&scope| match self.scopes[usize::from(scope)].kind {
                ScopeKind::Row => Some(0),
                ScopeKind::Child(table) => Some(table),
                _ => None,
            });
        }
        Ok(Program {
            vocabulary: Arc::new(self.paths.vocabulary),
            moves,
            states,
            columns: self.columns,
            scopes: self.scopes,
            tables: self.tables,
            shapes: self.shapes,
            pending: self.pending,
            marks,
            prefixes: mapping.namespaces.clone().into_iter().collect(),
            nil,
            spoken_of,
            watch,
            root: mapping.root.clone(),
            limits: mapping.limits,
            dtd: mapping.dtd,
            schema: None,
            on_bad_message: mapping.on_bad_message,
            on_bad_field: mapping.on_bad_field,
        })
    }

    /// The scopes of the row groups, outermost first, and of the row itself last, with their places.
    fn row_groups(&mut self, mapping: &Mapping) -> Result<Vec<(ScopeId, NodeId)>, TooLarge> {
        let (mut node, mut parent) = (self.root, MESSAGE);
        let mut around = Vec::new();
        let whole = [Vec::new()];
        let groups = if mapping.rows.is_empty() { &whole[..] } else { &mapping.rows };
        for (at, steps) in groups.iter().enumerate() {
            node = self.paths.descend(node, steps, |_| {})?;
            let kind = if at + 1 == groups.len() { ScopeKind::Row } else { ScopeKind::Group };
            let scope = self.scope(kind)?;
            if parent != MESSAGE {
                self.scopes[usize::from(parent)].inner = Some(scope);
            }
            self.paths.node(node).begins.push(scope);
            around.push((scope, node));
            parent = scope;
        }
        Ok(around)
    }

    fn table(
        &mut self,
        columns: &[Column],
        children: &[Child],
        parent: Option<TableId>,
        around: &[(ScopeId, NodeId)],
        (row, node): (ScopeId, NodeId),
    ) -> Result<(), TooLarge> {
        let table = number(self.tables.len())?;
        self.tables.push(TablePlan { columns: Vec::new(), buffers: Vec::new(), row, parent });
        for column in columns {
            let surroundings = Surroundings { node, scope: row, judge: row, held: None, table, around, prefix: "" };
            let (column, buffer) = self.column(column, &surroundings)?;
            let plan = &mut self.tables[usize::from(table)];
            plan.columns.push(column);
            plan.buffers.push(buffer);
        }
        for child in children {
            let inner = self.paths.descend(node, &child.rows, |_| {})?;
            let first = number(self.tables.len())?;
            let scope = self.scope(ScopeKind::Child(first))?;
            self.paths.node(inner).begins.push(scope);
            let around: Vec<_> = around.iter().copied().chain([(scope, inner)]).collect();
            let nested_in = (table != 0).then_some(table);
            self.table(&child.columns, &child.children, nested_in, &around, (scope, inner))?;
            self.scopes[usize::from(scope)].tables = first..number(self.tables.len())?;
        }
        Ok(())
    }

    /// A column or field: its number, and where the values of the table's column (the struct's field) go.
    fn column(&mut self, column: &Column, near: &Surroundings<'_>) -> Result<(ColumnId, BufferId), TooLarge> {
        let mut scope = near.scope;
        let node = if column.path.from_root {
            if !near.prefix.is_empty() {
                return Err(format!("the field {}{} has a path from the root", near.prefix, column.name));
            }
            let mut visited = vec![self.root];
            let node = self.paths.descend(self.root, &column.path.steps, |node| visited.push(node))?;
            let passed = near.around.iter().rev().find(|(_, node)| visited.contains(node));
            scope = passed.map_or(MESSAGE, |(scope, _)| *scope);
            node
        } else {
            self.paths.descend(near.node, &column.path.steps, |_| {})?
        };
        let is_shared = scope != near.scope;
        let judge = if is_shared { scope } else { near.judge };
        let id: ColumnId = number(self.columns.len())?;
        let is_struct = matches!(column.kind, Kind::Struct(_));
        let is_deferred = match column.repeat {
            Repeat::Only | Repeat::First => false,
            Repeat::Last | Repeat::List | Repeat::Join(_) | Repeat::Json | Repeat::Count | Repeat::Index(_) => true,
        };
        let pending = if is_deferred { Some(number(self.pending)?) } else { None };
        self.pending += usize::from(is_deferred);
        self.columns.push(ColumnPlan {
            name: format!("{}{}", near.prefix, column.name),
            path: written(column),
            kind: column.kind.clone(),
            required: column.required,
            repeat: column.repeat.clone(),
            caster: caster(column)?,
            scope,
            is_shared,
            judge,
            buffer: 0,
            item: 0,
            pending,
            held: near.held,
        });
        let (buffer, item) = self.buffers(column)?;
        let plan = &mut self.columns[usize::from(id)];
        (plan.buffer, plan.item) = (buffer, item);
        let owner = &mut self.scopes[usize::from(scope)];
        if is_deferred {
            owner.deferred.push(id);
        } else {
            owner.plain.push(id);
        }
        owner.width += width(&column.kind);
        let takes_struct = is_struct && !matches!(column.repeat, Repeat::Join(_) | Repeat::Json | Repeat::Count);
        match &column.path.take {
            _ if takes_struct => self.structure(column, id, node, near.table)?,
            Take::Text => self.paths.node(node).text.push(id),
            Take::AllText => self.paths.node(node).all_text.push(id),
            Take::Element => self.paths.node(node).elements.push(id),
            Take::Attribute(name) => {
                let name = self.paths.name(name)?;
                self.paths.node(node).attributes.push((name, id));
            }
        }
        if !is_shared {
            return Ok((id, buffer));
        }
        let to = self.copy(buffer)?;
        self.scopes[usize::from(scope)].shares.push(Share { from: buffer, to, table: near.table });
        Ok((id, to))
    }

    /// The scope of a struct, and its fields.
    fn structure(&mut self, column: &Column, id: ColumnId, node: NodeId, table: TableId) -> Result<(), TooLarge> {
        let Kind::Struct(fields) = &column.kind else { return Ok(()) };
        let plan = &self.columns[usize::from(id)];
        let (item, judge, held, prefix) = (plan.item, plan.judge, plan.holder(), format!("{}.", plan.name));
        let scope = self.scope(ScopeKind::Struct(id))?;
        self.paths.node(node).begins.push(scope);
        let mut buffers = Vec::with_capacity(fields.len());
        for field in fields.iter() {
            let near = Surroundings { node, scope, judge, held, table, around: &[], prefix: &prefix };
            buffers.push(self.column(field, &near)?.1);
        }
        if let Shape::Struct(_, of_fields) = &mut self.shapes[usize::from(item)] {
            *of_fields = buffers;
        }
        Ok(())
    }

    /// Where the values of a column go, and where each occurrence goes. The fields of a struct are not there yet.
    fn buffers(&mut self, column: &Column) -> Result<(BufferId, BufferId), TooLarge> {
        let shape = match (&column.repeat, &column.kind) {
            (Repeat::Count, _) => Shape::Leaf(Kind::Int64),
            (Repeat::Join(_) | Repeat::Json, _) => Shape::Leaf(Kind::String),
            (_, Kind::Struct(_)) => match column.kind.data_type() {
                DataType::Struct(fields) => Shape::Struct(fields, Vec::new()),
                _ => Shape::Leaf(Kind::String),
            },
            (_, kind) => Shape::Leaf(kind.clone()),
        };
        let item = self.shape(shape)?;
        match column.data_type() {
            DataType::List(field) => Ok((self.shape(Shape::List(field, item))?, item)),
            _ => Ok((item, item)),
        }
    }

    fn shape(&mut self, shape: Shape) -> Result<BufferId, TooLarge> {
        let id = number(self.shapes.len())?;
        self.shapes.push(shape);
        Ok(id)
    }

    /// A second buffer of the same shape.
    fn copy(&mut self, buffer: BufferId) -> Result<BufferId, TooLarge> {
        let shape = match self.shapes[usize::from(buffer)].clone() {
            Shape::Leaf(kind) => Shape::Leaf(kind),
            Shape::List(field, item) => Shape::List(field, self.copy(item)?),
            Shape::Struct(fields, buffers) => {
                let buffers = buffers.into_iter().map(|field| self.copy(field)).collect::<Result<_, _>>()?;
                Shape::Struct(fields, buffers)
            }
        };
        self.shape(shape)
    }

    fn scope(&mut self, kind: ScopeKind) -> Result<ScopeId, TooLarge> {
        let id = number(self.scopes.len())?;
        self.scopes.push(ScopePlan {
            kind,
            plain: Vec::new(),
            deferred: Vec::new(),
            tables: 0..0,
            mark: 0,
            shares: Vec::new(),
            inner: None,
            width: 1,
        });
        Ok(id)
    }
}

fn caster(column: &Column) -> Result<Caster, TooLarge> {
    Caster::new(&column.kind, &column.rules).map_err(|wrong| {
        let first = wrong.first().map_or("they cannot be run", |wrong| wrong.message.as_str());
        format!("the rules of the column {}: {first}", column.name)
    })
}

/// Bytes of a value in its column, without those of text.
fn width(kind: &Kind) -> usize {
    match kind {
        Kind::Bool | Kind::Int8 => 1,
        Kind::Int16 => 2,
        Kind::Int64 | Kind::Float64 | Kind::Time(_) | Kind::Timestamp(_) | Kind::LocalTimestamp(_) => 8,
        Kind::Decimal(..) => 16,
        _ => 4,
    }
}

fn number(count: usize) -> Result<u16, TooLarge> {
    u16::try_from(count).map_err(|_| "it has more than 65,535 columns or fields".to_owned())
}
