//! News of commits and proofs, as the server sends them.

use leptos::prelude::*;
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{EventSource, MessageEvent};

/// Counts up whenever the board should ask anew; the second signal tells whether the server can be heard.
pub(crate) fn listen() -> (ReadSignal<u32>, ReadSignal<bool>) {
    let (version, set_version) = signal(0_u32);
    let (heard, set_heard) = signal(true);
    if let Ok(source) = EventSource::new("/api/v1/events") {
        let on_snapshot = Closure::<dyn FnMut(MessageEvent)>::new(move |_| {
            set_heard.set(true);
            set_version.update(|version| *version += 1);
        });
        let on_error = Closure::<dyn FnMut(web_sys::Event)>::new(move |_| set_heard.set(false));
        let _ = source.add_event_listener_with_callback("snapshot", on_snapshot.as_ref().unchecked_ref());
        source.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        let held = SendWrapper::new((source, on_snapshot, on_error));
        on_cleanup(move || {
            held.0.close();
            drop(held);
        });
    }
    (version, heard)
}
