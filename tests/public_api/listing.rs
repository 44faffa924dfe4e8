//! The public items, one a line, and those that a user calls.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, TraitItem, Type};

use super::tree::{ItemPath, Tree, is_hidden, is_left_out, is_pub};

/// What the library shows.
#[derive(Default)]
pub(crate) struct Listing {
    /// Lines, in the order of the names.
    pub(crate) lines: BTreeSet<String>,
    /// Every function and method that a user calls, with whether its documentation has an example,
    /// or that of its type has one that calls it.
    pub(crate) calls: BTreeMap<String, bool>,
    /// What the examples of each type call.
    called: BTreeMap<String, BTreeSet<String>>,
}

/// Lists everything that can be named from outside the crate.
pub(crate) fn list(tree: &Tree) -> Listing {
    let mut listing = Listing::default();
    let mut shown: BTreeMap<ItemPath, String> = BTreeMap::new();
    // Definitions are shown where the shortest public path leads to them.
    let mut waiting = vec![(Vec::new(), "ringway".to_owned())];
    let mut found: Vec<(String, ItemPath)> = Vec::new();
    while let Some((module_path, public)) = waiting.pop() {
        let module = &tree.modules[&module_path];
        if !module_path.is_empty() {
            listing.lines.insert(format!("pub mod {public}"));
        }
        for (path, inner) in &tree.modules {
            let is_child = path.len() == module_path.len() + 1 && path.starts_with(&module_path);
            if is_child && inner.is_public && !is_hidden(&inner.docs) {
                waiting.push((path.clone(), format!("{public}::{}", path[path.len() - 1])));
            }
        }
        for item in &module.items {
            if let Some((name, attributes)) = public_name(item)
                && !is_hidden(attributes)
                && !is_left_out(attributes)
            {
                found.push((format!("{public}::{name}"), [module_path.as_slice(), &[name]].concat()));
            }
        }
        for import in module.imports.iter().filter(|import| import.is_public && !import.is_hidden) {
            match tree.resolve(&module_path, &import.target) {
                Some(target) if tree.item(&target).is_some() => {
                    found.push((format!("{public}::{}", import.name), target));
                }
                Some(target) => panic!("a module is re-exported: {target:?}"),
                None => {
                    let target = import.target.join("::");
                    listing.lines.insert(format!("pub use {target} as {public}::{}", import.name));
                }
            }
        }
    }
    found.sort_by_key(|(public, _)| (public.matches("::").count(), public.clone()));
    for (public, path) in found {
        match shown.get(&path) {
            Some(first) => drop(listing.lines.insert(format!("pub use {first} as {public}"))),
            None => {
                show(&public, tree.item(&path).expect("resolved"), &mut listing);
                shown.insert(path, public);
            }
        }
    }
    for (module, item) in
        tree.modules.iter().flat_map(|(path, module)| module.items.iter().map(move |i| (path, i)))
    {
        if let Item::Impl(item) = item
            && let Some(public) = shown_type(tree, module, item, &shown)
        {
            show_impl(&public, item, &mut listing);
        }
    }
    listing
}

fn public_name(item: &Item) -> Option<(String, &[Attribute])> {
    let (visibility, attributes) = match item {
        Item::Const(item) => (&item.vis, &item.attrs),
        Item::Enum(item) => (&item.vis, &item.attrs),
        Item::Fn(item) => (&item.vis, &item.attrs),
        Item::Static(item) => (&item.vis, &item.attrs),
        Item::Struct(item) => (&item.vis, &item.attrs),
        Item::Trait(item) => (&item.vis, &item.attrs),
        Item::Type(item) => (&item.vis, &item.attrs),
        _ => return None,
    };
    is_pub(visibility).then(|| (super::tree::name_of(item).expect("it has one"), attributes.as_slice()))
}

fn show(public: &str, item: &Item, listing: &mut Listing) {
    let short = public.rsplit("::").next().expect("never empty");
    let header = |keyword: &str, generics: &syn::Generics| {
        format!("pub {keyword} {public}{}{}", words(generics), words(&generics.where_clause))
    };
    match item {
        Item::Const(item) => drop(listing.lines.insert(format!("pub const {public}: {}", words(&item.ty)))),
        Item::Static(item) => drop(listing.lines.insert(format!("pub static {public}: {}", words(&item.ty)))),
        Item::Type(item) => {
            let line = format!("pub type {public}{} = {}", words(&item.generics), words(&item.ty));
            listing.lines.insert(line);
        }
        Item::Fn(item) => {
            let signature = words(&item.sig).replacen(short, public, 1);
            listing.lines.insert(format!("pub {signature}"));
            listing.calls.insert(public.to_owned(), has_example(&item.attrs));
        }
        Item::Struct(item) => {
            listing.called.insert(public.to_owned(), called_in_examples(&item.attrs));
            listing.lines.insert(header("struct", &item.generics) + &kept_open(&item.attrs));
            show_derives(public, &item.attrs, listing);
            show_fields(public, &item.fields, false, listing);
        }
        Item::Enum(item) => {
            listing.called.insert(public.to_owned(), called_in_examples(&item.attrs));
            listing.lines.insert(header("enum", &item.generics) + &kept_open(&item.attrs));
            show_derives(public, &item.attrs, listing);
            for variant in &item.variants {
                let path = format!("{public}::{}", variant.ident);
                let unnamed: Vec<_> = match &variant.fields {
                    Fields::Unnamed(fields) => fields.unnamed.iter().map(|field| words(&field.ty)).collect(),
                    _ => Vec::new(),
                };
                let fields =
                    if unnamed.is_empty() { String::new() } else { format!("({})", unnamed.join(", ")) };
                listing.lines.insert(format!("{path}{fields}"));
                if unnamed.is_empty() {
                    show_fields(&path, &variant.fields, true, listing);
                }
            }
        }
        Item::Trait(item) => {
            let bounds = words(&item.supertraits);
            let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
            let safety = if item.unsafety.is_some() { "unsafe " } else { "" };
            listing.lines.insert(header(&format!("{safety}trait"), &item.generics) + &bounds);
            for inner in &item.items {
                let (name, line, attributes) = match inner {
                    TraitItem::Fn(inner) => (inner.sig.ident.to_string(), words(&inner.sig), &inner.attrs),
                    TraitItem::Const(inner) => (inner.ident.to_string(), words(inner), &inner.attrs),
                    TraitItem::Type(inner) => (inner.ident.to_string(), words(inner), &inner.attrs),
                    _ => continue,
                };
                if !is_hidden(attributes) {
                    let line = without_docs(&line).replacen(&name, &format!("{public}::{name}"), 1);
                    listing.lines.insert(line);
                }
            }
        }
        _ => unreachable!("not a public item"),
    }
}

fn show_fields(public: &str, fields: &Fields, of_variant: bool, listing: &mut Listing) {
    for (index, field) in fields.iter().enumerate() {
        if (of_variant || is_pub(&field.vis)) && !is_hidden(&field.attrs) {
            let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
            listing.lines.insert(format!("{public}::{name}: {}", words(&field.ty)));
        }
    }
}

fn show_derives(public: &str, attributes: &[Attribute], listing: &mut Listing) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let syn::Meta::List(list) = &attribute.meta else { continue };
        for name in list.tokens.to_string().split(',').map(str::trim).filter(|name| !name.is_empty()) {
            listing.lines.insert(format!("impl {name} for {public}"));
        }
    }
}

/// The public name of the type that an `impl` is about.
fn shown_type(
    tree: &Tree,
    module: &[String],
    item: &ItemImpl,
    shown: &BTreeMap<ItemPath, String>,
) -> Option<String> {
    let mut about = &*item.self_ty;
    while let Type::Reference(reference) = about {
        about = &reference.elem;
    }
    let Type::Path(path) = about else { return None };
    let path: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    shown.get(&tree.resolve(module, &path)?).cloned()
}

fn show_impl(public: &str, item: &ItemImpl, listing: &mut Listing) {
    let generics = words(&item.generics);
    if is_hidden(&item.attrs) || is_left_out(&item.attrs) {
        return;
    }
    if let Some((negative, name, _)) = &item.trait_ {
        let bang = if negative.is_some() { "!" } else { "" };
        let about = words(&item.self_ty);
        let (name, bounds) = (words(name), words(&item.generics.where_clause));
        listing.lines.insert(format!("impl{generics} {bang}{name} for {public} ({about}){bounds}"));
        return;
    }
    for inner in &item.items {
        match inner {
            ImplItem::Fn(inner) if is_pub(&inner.vis) && !is_hidden(&inner.attrs) => {
                let name = inner.sig.ident.to_string();
                let mut signature = inner.sig.clone();
                // Whether the body changes an argument does not matter to a caller.
                for argument in &mut signature.inputs {
                    if let syn::FnArg::Typed(argument) = argument
                        && let syn::Pat::Ident(pattern) = &mut *argument.pat
                    {
                        pattern.mutability = None;
                    }
                    if let syn::FnArg::Receiver(receiver) = argument
                        && receiver.reference.is_none()
                    {
                        receiver.mutability = None;
                    }
                }
                let about = words(&item.self_ty);
                let line =
                    words(&signature).replacen(&format!("fn {name}"), &format!("fn {public}::{name}"), 1);
                listing.lines.insert(format!("pub {line} [impl{generics} {about}]"));
                let key = format!("{public}::{name}");
                let is_called = listing.called.get(public).is_some_and(|called| called.contains(&name));
                let had = listing.calls.get(&key).is_some_and(|had| *had);
                let example = has_example(&inner.attrs) || is_called || had;
                listing.calls.insert(key, example);
            }
            ImplItem::Const(inner) if is_pub(&inner.vis) && !is_hidden(&inner.attrs) => {
                listing.lines.insert(format!("pub const {public}::{}: {}", inner.ident, words(&inner.ty)));
            }
            _ => {}
        }
    }
}

/// Whether an item is declared `non_exhaustive`.
fn kept_open(attributes: &[Attribute]) -> String {
    let is_open = attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"));
    if is_open { " (non_exhaustive)".into() } else { String::new() }
}

fn has_example(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc") && attribute.to_token_stream().to_string().contains("```")
    })
}

/// The functions and methods that the examples in a documentation call.
pub(crate) fn called_in_examples(attributes: &[Attribute]) -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    let mut is_code = false;
    for line in attributes.iter().filter_map(documentation) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        for (at, _) in line.match_indices(['.', ':']).filter(|_| is_code) {
            let rest = &line[at + 1..];
            let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            if end > 0 && (rest[end..].starts_with('(') || rest[end..].starts_with("::<")) {
                called.insert(rest[..end].to_owned());
            }
        }
    }
    called
}

/// The text of a line of documentation.
fn documentation(attribute: &Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) if pair.path.is_ident("doc") => {
            Some(text.value())
        }
        _ => None,
    }
}

fn without_docs(line: &str) -> String {
    match line.rfind("\"]") {
        Some(end) => line[end + 2..].trim().trim_end_matches(';').to_owned(),
        None => line.trim_end_matches(';').to_owned(),
    }
}

/// Tokens as one would write them.
fn words(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, written) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" ::", "::"),
        ("& ", "&"),
        (" < ", "<"),
        ("< ", "<"),
        (" > ", "> "),
        (" >", ">"),
        ("( ", "("),
        (" )", ")"),
        (" (", "("),
        (" ,", ","),
        (" : ", ": "),
        (" ;", ";"),
        ("[ ", "["),
        (" ]", "]"),
        ("> (", ">("),
        (",)", ")"),
        (", >", ">"),
        ("' ", "'"),
    ] {
        text = text.replace(spaced, written);
    }
    for (joined, written) in [
        ("->", " -> "),
        (">where", "> where"),
        ("  ", " "),
        ("  ", " "),
        ("fn(", "fn ("),
        ("impl(", "impl ("),
    ] {
        text = text.replace(joined, written);
    }
    for keyword in ["where", "for", "dyn", "impl"] {
        text = text.replace(&format!(">{keyword} "), &format!("> {keyword} "));
    }
    // How macros name what they cannot import.
    for module in ["crate::error::", "crate::park::", "crate::wait::"] {
        text = text.replace(module, "");
    }
    if text.starts_with("where ") { format!(" {text}") } else { text }
}
