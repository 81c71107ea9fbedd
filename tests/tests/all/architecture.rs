//! The manifests are the architecture: this holds them, and the files beside them, against the picture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Who imports whom of ours. The tests run the program `voice`; nobody imports it.
const PICTURE: [(&str, &[&str]); 7] = [
    ("domain", &[]),
    ("commands", &["domain"]),
    ("projections", &["domain"]),
    ("ingest", &["commands", "domain", "projections"]),
    ("api", &["commands", "domain", "projections"]),
    ("voice", &["api", "commands", "domain", "ingest", "projections"]),
    ("tests", &["api", "commands", "domain", "ingest", "projections"]),
];
/// PostgreSQL and Kafka, and who may speak to them.
const STORES: [&str; 2] = ["sqlx", "rdkafka"];
const SEE_STORES: [&str; 3] = ["commands", "projections", "tests"];
/// What the domain may use: nothing that does I/O.
const DOMAIN_USES: [&str; 6] = ["chrono", "phonenumber", "serde", "serde_json", "thiserror", "uuid"];
/// What stands at the top, beside dotfiles, licences and what cargo builds.
const TOP: [&str; 16] = [
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "README.md",
    "api",
    "commands",
    "dashboard",
    "docker-compose.yml",
    "docs",
    "domain",
    "ingest",
    "migrations",
    "projections",
    "rustfmt.toml",
    "tests",
    "voice",
];
/// A longer file holds more than one concept.
const LINES_MAX: usize = 400;

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().other_options(["--offline".to_owned()]).exec().unwrap()
}

fn normal_dependencies(package: &Package) -> BTreeSet<&str> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn crates_import_whom_the_picture_shows() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let imports = |package| normal_dependencies(package).intersection(&ours).copied().collect::<Vec<_>>();
    let found: BTreeMap<&str, Vec<&str>> =
        metadata.packages.iter().map(|package| (package.name.as_str(), imports(package))).collect();
    let picture: BTreeMap<&str, Vec<&str>> = PICTURE.iter().map(|(name, imports)| (*name, imports.to_vec())).collect();
    assert_eq!(found, picture);
    // Nor by the back door of their tests and builds.
    for package in &metadata.packages {
        let other = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Normal);
        let other: Vec<&str> =
            other.map(|dependency| dependency.name.as_str()).filter(|name| ours.contains(name)).collect();
        assert!(other.is_empty(), "{} takes in {other:?}", package.name);
    }
}

#[test]
fn only_the_two_sides_see_the_stores() {
    for package in metadata().packages {
        let seen: Vec<&str> = normal_dependencies(&package).into_iter().filter(|name| STORES.contains(name)).collect();
        assert!(seen.is_empty() || SEE_STORES.contains(&package.name.as_str()), "{} sees {seen:?}", package.name);
    }
}

#[test]
fn the_domain_uses_nothing_that_does_input_or_output() {
    let metadata = metadata();
    let domain = metadata.packages.iter().find(|package| package.name.as_str() == "domain").unwrap();
    assert_eq!(normal_dependencies(domain), BTreeSet::from(DOMAIN_USES));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in metadata().packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{}", package.name);
    }
}

#[test]
fn nothing_stands_at_the_top_without_need() {
    for entry in std::fs::read_dir(metadata().workspace_root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = name.starts_with('.') || name.starts_with("LICENSE") || name == "target";
        assert!(known || TOP.contains(&name.as_str()), "{name}: where would it go?");
    }
}

#[test]
fn files_hold_one_concept() {
    let mut too_long = Vec::new();
    let mut read = 0;
    for package in metadata().packages.into_iter().filter(|package| package.name.as_str() != "tests") {
        let mut folders: Vec<PathBuf> = vec![package.manifest_path.parent().unwrap().into()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    read += 1;
                    let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                    too_long.extend((lines > LINES_MAX).then(|| format!("{} has {lines} lines", path.display())));
                }
            }
        }
    }
    assert!(read > 100, "{read} files read");
    assert!(too_long.is_empty(), "{too_long:#?}");
}
