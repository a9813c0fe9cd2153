//! The dashboard in the browser. It knows the JSON API and nothing else; figures arrive as integers with their proof, and
//! are only divided where they are shown.
#![deny(missing_docs)]

mod api;
mod board;
mod cohorts;
mod live;
mod movements;
mod tile;
mod words;

fn main() {
    leptos::prelude::mount_to_body(board::Board);
}
