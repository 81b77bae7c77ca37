//! What buffers take comes back, also after some of it was forgotten.
