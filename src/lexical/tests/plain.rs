//! What each type takes and refuses when there are no rules.

use crate::lexical::{Caster, Memory, Value};
use crate::model::mapping::{Kind, ValueRules};

#[test]
fn a_whole_number() {
    let caster = Caster::new(&Kind::Int8, &ValueRules::default()).unwrap();
    assert_eq!(caster.cast("-128", &mut Memory::default()), Ok(Value::Int(-128)));
}
