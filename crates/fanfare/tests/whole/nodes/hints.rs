//! Hints between nodes that are lost: looking by itself, each node finds what there is to do.
