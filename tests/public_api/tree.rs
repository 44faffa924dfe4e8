//! The modules of the library, parsed: which names each has, and what a path leads to.

use std::collections::BTreeMap;
use std::path::Path;

use syn::{Attribute, Item, UseTree, Visibility};

use super::expand::Macros;

/// The path of a module from the crate's root, or of an item.
pub(crate) type ItemPath = Vec<String>;

/// A module of the library.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) is_public: bool,
    pub(crate) docs: Vec<Attribute>,
    /// Everything but modules and imports, macros expanded.
    pub(crate) items: Vec<Item>,
    pub(crate) imports: Vec<Import>,
}

/// One name that a `use` brings into a module.
#[derive(Clone)]
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) is_public: bool,
    pub(crate) target: Vec<String>,
    pub(crate) is_hidden: bool,
}

/// All modules, by their paths.
pub(crate) struct Tree {
    pub(crate) modules: BTreeMap<ItemPath, Module>,
}

impl Tree {
    /// Parses the library whose root is `src/lib.rs` in `directory`.
    pub(crate) fn read(directory: &Path) -> Self {
        let mut tree = Self { modules: BTreeMap::new() };
        let root = directory.join("src/lib.rs");
        let file = parse(&root);
        let mut macros = Macros::default();
        tree.add(Vec::new(), true, file.attrs, file.items, &directory.join("src"), &mut macros);
        for module in tree.modules.values_mut() {
            module.items = macros.expand(std::mem::take(&mut module.items));
        }
        tree
    }

    fn add(
        &mut self,
        path: ItemPath,
        is_public: bool,
        docs: Vec<Attribute>,
        items: Vec<Item>,
        directory: &Path,
        macros: &mut Macros,
    ) {
        let mut module = Module { is_public, docs, ..Module::default() };
        for item in items {
            match item {
                Item::Mod(inner) if is_left_out(&inner.attrs) => {}
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let mut inner_path = path.clone();
                    inner_path.push(name.clone());
                    let is_public = is_pub(&inner.vis);
                    let (mut docs, below) = (inner.attrs, directory.join(&name));
                    let items = match inner.content {
                        Some((_, items)) => items,
                        None => {
                            let flat = directory.join(format!("{name}.rs"));
                            let file = parse(&if flat.exists() { flat } else { below.join("mod.rs") });
                            docs.extend(file.attrs);
                            file.items
                        }
                    };
                    self.add(inner_path, is_public, docs, items, &below, macros);
                }
                Item::Use(item) if !is_left_out(&item.attrs) => {
                    let (is_public, is_hidden) = (is_pub(&item.vis), is_hidden(&item.attrs));
                    imports(&item.tree, &mut Vec::new(), &mut |name, target| {
                        module.imports.push(Import { name, is_public, target, is_hidden });
                    });
                }
                Item::Macro(item) if item.ident.is_some() => macros.define(&item),
                other => module.items.push(other),
            }
        }
        self.modules.insert(path, module);
    }

    /// The item or module that `path` means in the module `within`, if it is one of this crate.
    pub(crate) fn resolve(&self, within: &[String], path: &[String]) -> Option<ItemPath> {
        let (mut at, rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (within.to_vec(), &path[1..]),
            "super" => (within[..within.len().checked_sub(1)?].to_vec(), &path[1..]),
            _ => (within.to_vec(), path),
        };
        for (index, name) in rest.iter().enumerate() {
            if name == "super" {
                at.pop()?;
                continue;
            }
            let mut next = at.clone();
            next.push(name.clone());
            let module = self.modules.get(&at)?;
            let is_last = index + 1 == rest.len();
            // A module may have the name of a function.
            if is_last && module.items.iter().any(|item| name_of(item).as_ref() == Some(name)) {
                return Some(next);
            }
            let import = module.imports.iter().find(|import| import.name == *name);
            match import {
                Some(import) if is_last || !self.modules.contains_key(&next) => {
                    let mut target = import.target.clone();
                    target.extend_from_slice(&rest[index + 1..]);
                    return self.resolve(&at, &target);
                }
                _ if self.modules.contains_key(&next) => at = next,
                _ => return None,
            }
        }
        Some(at)
    }

    /// The item at this path; none if it is a module.
    pub(crate) fn item(&self, path: &[String]) -> Option<&Item> {
        let (name, module) = path.split_last()?;
        self.modules.get(module)?.items.iter().find(|item| name_of(item).as_ref() == Some(name))
    }
}

fn parse(path: &Path) -> syn::File {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn imports(tree: &UseTree, prefix: &mut Vec<String>, found: &mut impl FnMut(String, Vec<String>)) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            imports(&path.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            found(prefix.last().cloned().unwrap_or_default(), prefix.clone());
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            found(name.clone(), [prefix.as_slice(), &[name]].concat());
        }
        UseTree::Rename(rename) => {
            let target = [prefix.as_slice(), &[rename.ident.to_string()]].concat();
            found(rename.rename.to_string(), target);
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| imports(tree, prefix, found)),
        // The public names of this crate are imported one by one.
        UseTree::Glob(_) => {}
    }
}

pub(crate) fn is_pub(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string().contains("hidden"))
    })
}

/// Whether an item is not compiled into the documented library: for tests, or for loom.
pub(crate) fn is_left_out(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string().replace(' ', "");
        condition == "test"
            || condition == "loom"
            || condition.starts_with("all(test")
            || condition.starts_with("all(loom")
            || condition.starts_with("any(doc")
    })
}

/// The name of an item that a path can lead to.
pub(crate) fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}
