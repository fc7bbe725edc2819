//! `#[derive(State)]`. (Placeholder: accepts the attributes, emits nothing yet.)
use proc_macro::TokenStream;

/// Derives `timebase_state::State` by exhaustive destructuring.
#[proc_macro_derive(State, attributes(wiring, cache, undigested))]
pub fn derive_state(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
