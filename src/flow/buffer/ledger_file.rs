//! interim
use super::interval::IntervalContext;
use crate::fault::Fault;
use crate::model::batch::LedgerRow;

/// interim
#[derive(Debug, Default)]
pub struct LedgerFile {
    pub rows: Vec<LedgerRow>,
}
impl LedgerFile {
    pub fn create(_: &IntervalContext) -> Result<Self, Fault> {
        Ok(Self::default())
    }
    pub fn append(&mut self, rows: &[LedgerRow]) -> Result<(), Fault> {
        self.rows.extend_from_slice(rows);
        Ok(())
    }
    pub fn memory_bytes(&self) -> u64 {
        0
    }
    pub fn encoded_bytes(&self) -> u64 {
        self.rows.len() as u64
    }
    pub fn flush(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
