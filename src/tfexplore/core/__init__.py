"""Records to what a person looks at: pure, synchronous, cancellable by an event."""
