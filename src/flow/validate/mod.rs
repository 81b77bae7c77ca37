//! Batches in order again, rules over rows, and the proof that no message is lost.
