//! A request of any method, for whoever sends few and different ones.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http::HeaderMap;
use provider::target::TargetUrl;

/// One request, without what the origin knows of it.
#[derive(Debug, Clone)]
pub struct Call {
    /// How it is asked.
    pub method: Method,
    /// Another path or query of the same origin; `None` for the origin's own URL.
    pub url: Option<TargetUrl>,
    /// `Host` and `Content-Length` are set on the way out.
    pub headers: HeaderMap,
    /// May be empty.
    pub body: Bytes,
}

/// Methods that may leave. `CONNECT` and `TRACE` never do, and nobody here needs the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

/// A method that may not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no method to call with; write POST, PUT, PATCH, GET or DELETE")]
pub struct MethodError;

impl Method {
    /// As it is written in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        let all = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];
        all.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(text)).ok_or(MethodError)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
        }
    }
}
