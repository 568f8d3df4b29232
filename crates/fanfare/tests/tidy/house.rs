//! The checkout as tidy sees it: members of the workspace, their dependencies and sources, as text.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct House {
    root: PathBuf,
}

pub(crate) struct Member {
    /// The folder's name.
    pub(crate) name: String,
    pub(crate) manifest: String,
    /// Normal dependencies, by the name the code uses.
    pub(crate) dependencies: Vec<String>,
}

impl House {
    pub(crate) fn read() -> House {
        House { root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace") }
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        let folders = fs::read_dir(self.root.join("crates")).expect("crates/");
        let mut names: Vec<String> =
            folders.map(|folder| folder.expect("a folder").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names.iter().map(|name| self.member(name)).collect()
    }

    pub(crate) fn member(&self, name: &str) -> Member {
        let manifest = self.text(&format!("crates/{name}/Cargo.toml"));
        let dependencies = manifest
            .lines()
            .skip_while(|line| *line != "[dependencies]")
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|dependency| !dependency.is_empty() && !dependency.starts_with('#'))
            .map(str::to_owned)
            .collect();
        Member { name: name.to_owned(), manifest, dependencies }
    }

    /// Path from the root and text of each Rust file of a crate.
    pub(crate) fn sources(&self, member: &Member) -> Vec<(String, String)> {
        let mut found = Vec::new();
        self.collect(&self.root.join("crates").join(&member.name), &mut found);
        found
    }

    pub(crate) fn all_sources(&self) -> Vec<(String, String)> {
        self.members().iter().flat_map(|member| self.sources(member)).collect()
    }

    fn collect(&self, folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                let path = path.strip_prefix(&self.root).expect("inside").to_string_lossy().into_owned();
                found.push((path, text));
            }
        }
    }
}
