//! `#[derive(State)]`: every field is state, or says why it is not.
//!
//! The derived walk destructures the type exhaustively, so a field that is added later is walked, or marked, or the
//! crate does not compile. Marks: `#[wiring("why")]` (fixed by the configuration or by construction),
//! `#[cache("rebuilt from ...")]` (derived), `#[undigested("why")]` (saved, but not part of digest and diff).

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Field, Fields, LitStr, parse_macro_input, spanned::Spanned};

#[derive(PartialEq)]
enum Mark {
    State,
    Undigested,
    Skipped,
}

fn mark(field: &Field) -> Result<Mark, Error> {
    let mut mark = Mark::State;
    for attribute in &field.attrs {
        let path = attribute.path();
        let found = if path.is_ident("wiring") || path.is_ident("cache") {
            Mark::Skipped
        } else if path.is_ident("undigested") {
            Mark::Undigested
        } else {
            continue;
        };
        let reason: LitStr = attribute
            .parse_args()
            .map_err(|_| Error::new(attribute.span(), "say why: #[wiring(\"...\")], #[cache(\"...\")]"))?;
        if reason.value().trim().is_empty() {
            return Err(Error::new(reason.span(), "the reason is empty"));
        }
        if mark != Mark::State {
            return Err(Error::new(attribute.span(), "a field has at most one of wiring, cache, undigested"));
        }
        mark = found;
    }
    Ok(mark)
}

/// The pattern that takes all fields apart, the statements that walk them, and their default values.
struct Walked {
    pattern: proc_macro2::TokenStream,
    body: proc_macro2::TokenStream,
    default: proc_macro2::TokenStream,
}

fn walked(fields: &Fields) -> Result<Walked, Error> {
    let mut patterns = Vec::new();
    let mut defaults = Vec::new();
    let mut body = Vec::new();
    for (n, field) in fields.iter().enumerate() {
        let name = field.ident.clone().unwrap_or_else(|| format_ident!("field{}", n));
        let label = field.ident.as_ref().map_or_else(|| n.to_string(), |ident| ident.to_string());
        let mark = mark(field)?;
        let value = if mark == Mark::Skipped { quote!(_) } else { quote!(#name) };
        match &field.ident {
            Some(ident) => {
                patterns.push(if mark == Mark::Skipped { quote!(#ident: _) } else { quote!(#ident) });
                defaults.push(quote!(#ident: ::core::default::Default::default()));
            }
            None => {
                patterns.push(value);
                defaults.push(quote!(::core::default::Default::default()));
            }
        }
        match mark {
            Mark::Skipped => {}
            Mark::State => body.push(quote! {
                walk.enter(#label);
                ::timebase_state::State::walk(#name, walk)?;
                walk.leave();
            }),
            Mark::Undigested => body.push(quote! {
                walk.enter(#label);
                walk.undigested(true);
                ::timebase_state::State::walk(#name, walk)?;
                walk.undigested(false);
                walk.leave();
            }),
        }
    }
    let body = quote!(#(#body)*);
    Ok(match fields {
        Fields::Named(_) => {
            Walked { pattern: quote!({ #(#patterns),* }), body, default: quote!({ #(#defaults),* }) }
        }
        Fields::Unnamed(_) => {
            Walked { pattern: quote!(( #(#patterns),* )), body, default: quote!(( #(#defaults),* )) }
        }
        Fields::Unit => Walked { pattern: quote!(), body, default: quote!() },
    })
}

fn derive(input: &DeriveInput) -> Result<proc_macro2::TokenStream, Error> {
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let body = match &input.data {
        Data::Struct(data) => {
            let Walked { pattern, body, .. } = walked(&data.fields)?;
            quote! {
                let #name #pattern = self;
                #body
            }
        }
        Data::Enum(data) => {
            let mut numbers = Vec::new();
            let mut makes = Vec::new();
            let mut walks = Vec::new();
            for (number, variant) in data.variants.iter().enumerate() {
                let number = number as u32;
                let ident = &variant.ident;
                let Walked { pattern, body, default } = walked(&variant.fields)?;
                numbers.push(quote!(#name::#ident { .. } => #number,));
                makes.push(quote!(#number => #name::#ident #default,));
                walks.push(quote!(#name::#ident #pattern => { #body }));
            }
            quote! {
                let before: u32 = match self { #(#numbers)* };
                let mut variant = before;
                walk.variant(&mut variant);
                if variant != before {
                    *self = match variant {
                        #(#makes)*
                        _ => return Err(walk.error("no such variant")),
                    };
                }
                match self { #(#walks)* }
            }
        }
        Data::Union(_) => return Err(Error::new(name.span(), "a union cannot be State")),
    };
    Ok(quote! {
        impl #generics ::timebase_state::State for #name #arguments #bounds {
            #[allow(unused_variables, reason = "a type without state has nothing to walk")]
            fn walk(
                &mut self,
                walk: &mut dyn ::timebase_state::Walk,
            ) -> ::core::result::Result<(), ::timebase_state::LoadError> {
                #body
                Ok(())
            }
        }
    })
}

/// Derives `timebase_state::State`.
#[proc_macro_derive(State, attributes(wiring, cache, undigested))]
pub fn derive_state(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive(&input).unwrap_or_else(Error::into_compile_error).into()
}
