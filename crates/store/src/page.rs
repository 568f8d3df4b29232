//! Lists come in pages: a bound on memory and on the time a reader holds the database.

/// The most items one page may have.
pub const PAGE_SIZE_MAX: usize = 1_000;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, Cursor> {
    /// Its items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

impl<T, Cursor> Page<T, Cursor> {
    /// Cuts `items`, read one longer than `limit`, to a page; `cursor_of` the last item kept starts the next.
    pub fn cut(mut items: Vec<T>, limit: usize, cursor_of: impl FnOnce(&T) -> Cursor) -> Page<T, Cursor> {
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = if has_more { items.last().map(cursor_of) } else { None };
        Page { items, next }
    }
}
