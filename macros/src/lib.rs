//! The macros of Quark.
use proc_macro::TokenStream;
#[proc_macro_attribute]
pub fn actor(_a: TokenStream, i: TokenStream) -> TokenStream {
    i
}
#[proc_macro_attribute]
pub fn actor_interface(_a: TokenStream, i: TokenStream) -> TokenStream {
    i
}
#[proc_macro_derive(Message, attributes(message))]
pub fn message(_i: TokenStream) -> TokenStream {
    TokenStream::new()
}
