//! Expands the macros that write public items: those with one rule and no repetition.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{ImplItem, Item, ItemMacro};

/// The macros of the library, by name; of each the parameters and the body.
#[derive(Default)]
pub(crate) struct Macros {
    known: BTreeMap<String, (Vec<String>, TokenStream)>,
}

impl Macros {
    /// Notes a macro, unless it is of a form that is not expanded here. Such a macro must not write
    /// public items, since they would be missing from the list.
    pub(crate) fn define(&mut self, item: &ItemMacro) {
        let name = item.ident.as_ref().expect("a definition").to_string();
        let tokens: Vec<_> = item.mac.tokens.clone().into_iter().collect();
        let [TokenTree::Group(pattern), TokenTree::Punct(_), TokenTree::Punct(_), TokenTree::Group(body), ..] =
            tokens.as_slice()
        else {
            return;
        };
        let rules = tokens.iter().filter(|token| matches!(token, TokenTree::Group(_))).count() / 2;
        let pattern = pattern.stream();
        let has_repetition = pattern.to_string().contains("$ (") || pattern.to_string().contains("$(");
        if rules == 1 && !has_repetition {
            self.known.insert(name, (parameters(pattern), body.stream()));
        }
    }

    /// The items, with those that known macros write in place of their calls.
    pub(crate) fn expand(&self, items: Vec<Item>) -> Vec<Item> {
        let mut expanded = Vec::new();
        for item in items {
            match item {
                Item::Macro(call) => {
                    let body = self.body_of(&call.mac).unwrap_or_default();
                    expanded.extend(syn::parse2::<syn::File>(body).expect("items").items);
                }
                Item::Impl(mut item) => {
                    item.items = item.items.into_iter().flat_map(|item| self.expand_in_impl(item)).collect();
                    expanded.push(Item::Impl(item));
                }
                other => expanded.push(other),
            }
        }
        expanded
    }

    fn expand_in_impl(&self, item: ImplItem) -> Vec<ImplItem> {
        let ImplItem::Macro(call) = &item else { return vec![item] };
        let Some(body) = self.body_of(&call.mac) else { return Vec::new() };
        let whole: syn::ItemImpl =
            syn::parse2(quote::quote! { impl It { #body } }).expect("items of an impl");
        whole.items
    }

    fn body_of(&self, call: &syn::Macro) -> Option<TokenStream> {
        let name = call.path.segments.last()?.ident.to_string();
        let (parameters, body) = self.known.get(&name)?;
        let mut arguments: Vec<TokenStream> = vec![TokenStream::new()];
        for token in call.tokens.clone() {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ',' && arguments.len() < parameters.len() => {
                    arguments.push(TokenStream::new());
                }
                _ => arguments.last_mut().expect("never empty").extend([token]),
            }
        }
        let values: BTreeMap<_, _> = parameters.iter().cloned().zip(arguments).collect();
        Some(replace(body.clone(), &values))
    }
}

fn parameters(pattern: TokenStream) -> Vec<String> {
    let tokens: Vec<_> = pattern.into_iter().collect();
    let named = tokens.windows(2).filter_map(|pair| match pair {
        [TokenTree::Punct(dollar), TokenTree::Ident(name)] if dollar.as_char() == '$' => {
            Some(name.to_string())
        }
        _ => None,
    });
    named.collect()
}

fn replace(body: TokenStream, values: &BTreeMap<String, TokenStream>) -> TokenStream {
    let mut replaced = TokenStream::new();
    let mut tokens = body.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(ref dollar) if dollar.as_char() == '$' => match tokens.peek() {
                Some(TokenTree::Ident(name)) if values.contains_key(&name.to_string()) => {
                    replaced.extend(values[&name.to_string()].clone());
                    tokens.next();
                }
                _ => replaced.extend([token]),
            },
            TokenTree::Group(group) => {
                let inner = replace(group.stream(), values);
                proc_macro2::Group::new(group.delimiter(), inner).to_tokens(&mut replaced);
            }
            other => replaced.extend([other]),
        }
    }
    replaced
}
