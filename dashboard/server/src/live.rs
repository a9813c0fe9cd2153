//! Live updates: an event after every commit, so that boards ask anew.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};

use crate::Shared;

pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
) -> Sse<impl futures_core::Stream<Item = Result<Event, Infallible>>> {
    let mut commits = shared.commits.clone();
    let events = stream! {
        // The first event tells where the board stands, so that one which missed a commit notices.
        let now = *commits.borrow_and_update();
        yield Ok(Event::default().event("snapshot").data(now.to_string()));
        while commits.changed().await.is_ok() {
            let now = *commits.borrow_and_update();
            yield Ok(Event::default().event("snapshot").data(now.to_string()));
        }
    };
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
