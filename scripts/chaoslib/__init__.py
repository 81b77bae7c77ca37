"""The parts of `scripts/chaos`: messages and their ledger, daemons, faults, the check of what is left in the lake."""
