//! Everything HTTP: the compatible API, the native API, the inbox's way in and the first page. It parses requests into
//! domain types, calls the store and answers; it decides nothing. The only code that knows status codes and HTML.

mod context;
pub mod members;

pub use context::{Context, Dashboard, Halves, Limits, ReadinessCheck, WebSettings};

use std::io;

use tokio::net::TcpListener;

/// Serves HTTP on `listener` until `shutdown` completes; then stops accepting, finishes what is under way (for at
/// most [`Limits::drain_time`]) and returns.
pub async fn serve(
    listener: TcpListener,
    context: Context,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let _ = (listener, context);
    shutdown.await;
    Ok(())
}

/// All routes but the inbox's, which [`serve`] answers before any router.
pub fn router(context: Context) -> axum::Router {
    let _ = context;
    axum::Router::new()
}
