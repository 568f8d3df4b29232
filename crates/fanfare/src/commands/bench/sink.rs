//! A receiver that answers 200 to everything and does nothing else: what a sender is measured against.

use std::convert::Infallible;

use clap::Args;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::output;

/// What it does.
#[derive(Debug, Args)]
pub(crate) struct SinkArgs {
    /// Take requests and never answer.
    #[arg(long)]
    silent: bool,
}

/// Serves until the process that started it ends it; tells the number of open requests for each line it reads.
pub(super) async fn run(args: SinkArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    output::print_line(&listener.local_addr()?.to_string());
    let mut questions = BufReader::new(tokio::io::stdin()).lines();
    let mut silent = Vec::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                if args.silent {
                    silent.push(stream);
                } else {
                    stream.set_nodelay(true)?;
                    tokio::spawn(serve(stream));
                }
            }
            Ok(Some(_)) = questions.next_line() => output::print_line(&silent.len().to_string()),
        }
    }
}

async fn serve(stream: TcpStream) {
    // A connection that breaks is the sender's affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    Ok(Response::new(Empty::new()))
}
