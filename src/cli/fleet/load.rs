//! Loads a fleet file with its table, base and overlays, and makes the manifest of each selected tenant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::super::args::ManifestArgs;
use super::super::domain::is_handed_in;
use super::super::error::{Error, Result};
use super::super::loading::{self, Outside, tell};
use super::super::setup::Shell;
use super::{FleetArgs, hubs};
use crate::diag::{self, Diagnostic, Severity};
use crate::fleet::file::{self, Place};
use crate::fleet::select::{Selection, select};
use crate::fleet::told::Problems;
use crate::fleet::waves::{Group, assign};
use crate::fleet::{Fleet, Parts, Rendered, Tenants, table};
use crate::kinds;
use crate::manifest::{self, Missing, Source, Tables};
use crate::model::manifest::Manifest;
use crate::plan::desired::tables;
use crate::plan::handed;
use crate::shell::files::{self, Folder, ManifestFile};

/// Largest table of tenants.
const TABLE_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// A fleet file with everything that it names.
pub struct Loaded {
    pub fleet: Fleet,
    pub tenants: Tenants,
    pub groups: Vec<Group>,
    /// Positions of the groups, by the position of a tenant.
    pub group_of: BTreeMap<usize, usize>,
    pub parts: Parts,
    pub tables: Tables,
    /// Positions of the tenants that the command line selects.
    pub selected: Vec<usize>,
    /// The folder of the base, from which files are read.
    pub folder: Folder,
    /// The texts are made by this program, so that warnings about them are no news.
    pub is_our_own: bool,
}

/// A tenant with its manifest.
pub struct Made {
    /// Position in the table.
    pub at: usize,
    pub manifest: Rc<Manifest>,
    /// Whether its domain comes from outside the fleet's files.
    pub is_handed_in: bool,
    /// Positions in the table of the tenants whose outputs it takes.
    pub takes: BTreeSet<usize>,
    /// How many tenants stand in a row before it: 0 if it takes from nobody.
    pub depth: usize,
    /// It was not selected, and is read for what others take from it.
    pub only_read: bool,
}

/// Whether the file is a fleet file. A file that cannot be read is left to whoever reads it next.
pub fn is_fleet(path: &Path) -> bool {
    let text = files::read_manifest(path).map(|file| file.text);
    text.is_ok_and(|text| file::is_fleet(&text))
}

/// Reads everything. `None`: something is wrong, and was printed.
pub fn load(args: &ManifestArgs, selection: &FleetArgs, shell: &mut Shell) -> Result<Option<Loaded>> {
    let path = args.path();
    let given =
        files::read_manifest(path).map_err(|problem| Error::manifest(problem.message).help(problem.help))?;
    let beside = |relative: &str| path.parent().unwrap_or(Path::new("")).join(relative);
    let read = |relative: &str, limit: u64| -> Result<String> {
        given.folder.read(relative, limit).map_err(|problem| {
            Error::manifest(format!("{}: {problem}", beside(relative).display()))
                .help("check the path; it starts beside the fleet file")
        })
    };
    load_texts((&given.path, &given.text), &read, &selection.selection(&args.tenants)?, shell)
}

/// Loads a fleet file of which the path and the text are given. `read` gives a file that it names, up to so many bytes.
pub fn load_texts(
    (path, text): (&Path, &str),
    read: &dyn Fn(&str, u64) -> Result<String>,
    selection: &Selection,
    shell: &mut Shell,
) -> Result<Option<Loaded>> {
    let beside = |relative: &str| path.parent().unwrap_or(Path::new("")).join(relative);
    let fleet = match file::read(&path.display().to_string(), text) {
        Ok(fleet) => fleet,
        Err(rejected) => {
            tell(&rejected.diagnostics, &rejected.source, shell);
            return Ok(None);
        }
    };
    let tenants = match &fleet.tenants {
        Place::Inline(list) => table::inline(&fleet.parsed.source, list),
        Place::File(relative) => {
            let (text, shown) = (read(relative, TABLE_LIMIT_BYTES)?, beside(relative).display().to_string());
            match Path::new(relative).extension().and_then(|end| end.to_str()) {
                Some("yaml" | "yml" | "json") => table::from_yaml(&shown, &text),
                _ => table::from_csv(&shown, &text),
            }
        }
    };
    let tenants = match tenants {
        Ok(tenants) => tenants,
        Err(found) => {
            let is_inline = matches!(fleet.tenants, Place::Inline(_));
            let source = match (is_inline, found.first()) {
                (false, Some(one)) => table::undrawn(&one.file),
                _ => Arc::clone(&fleet.parsed.source),
            };
            tell(&found, &source, shell);
            return Ok(None);
        }
    };
    let found = file::against(&fleet, &tenants);
    if !found.is_empty() {
        tell(&found, &fleet.parsed.source, shell);
        return Ok(None);
    }
    let groups = match assign(&fleet, &tenants) {
        Ok(groups) => groups,
        Err(found) => {
            tell(&found, &fleet.parsed.source, shell);
            return Ok(None);
        }
    };
    let base_path = beside(&fleet.base);
    let base = read(&fleet.base, files::MANIFEST_LIMIT_BYTES)?;
    let mut overlays = Vec::new();
    for overlay in &fleet.overlays {
        let text = read(&overlay.merge, files::MANIFEST_LIMIT_BYTES)?;
        overlays.push((beside(&overlay.merge).display().to_string(), text));
    }
    let shown = base_path.display().to_string();
    let parts = match Parts::new((&shown, &base), &overlays, &tables_of(&tenants)) {
        Ok(parts) => parts,
        Err(wrong) => {
            say_all(wrong, shell);
            return Ok(None);
        }
    };
    let selected = select(selection, &fleet, &tenants, &groups).map_err(Error::usage)?;
    let folder = Folder::of(&base_path)
        .map_err(|problem| Error::manifest(format!("{}: {problem}", base_path.display())))?;
    Ok(Some(Loaded::of(fleet, tenants, groups, parts, selected, folder)))
}

/// The tables of the fields, with the tenants that a reference may name.
fn tables_of(tenants: &Tenants) -> Tables {
    let names = tenants.list.iter().map(|tenant| tenant.name.clone()).collect();
    Tables { tenants: Arc::new(names), ..tables() }
}

/// Prints problems, each with its text. A text without a problem of its own has none to print.
fn say_all(wrong: Vec<(Arc<Source>, Vec<Diagnostic>)>, shell: &mut Shell) {
    for (source, found) in wrong {
        tell(&found, &source, shell);
    }
}

/// The manifest of one tenant, for the commands that are about one. `None`: something is wrong, and was printed.
pub fn one(args: &ManifestArgs, shell: &mut Shell) -> Result<Option<loading::Loaded>> {
    if args.tenants.len() != 1 {
        let text = format!("{} is a fleet file, and this command is about one tenant", args.path().display());
        return Err(Error::usage(text).help("name it with --tenant NAME"));
    }
    let Some(loaded) = load(args, &FleetArgs::default(), shell)? else { return Ok(None) };
    let Some(at) = loaded.selected.first().copied() else { return Ok(None) };
    // What is wrong with it is told where it was written.
    if loaded.make(args, false, Missing::Unknown, shell)?.is_none() {
        return Ok(None);
    }
    let (file, tenant, text) = (loaded.file_of(at), &loaded.tenants.list[at], loaded.render(at).text);
    let Ok(parsed) = manifest::read(&file, &text, &loaded.tables) else { return Ok(None) };
    let file =
        ManifestFile { path: args.path().to_owned(), text, lost: Vec::new(), folder: loaded.folder.clone() };
    let domain = tenant.cell("domain").unwrap_or_default().to_owned();
    Ok(Some(loading::Loaded { parsed, file, is_our_own: true, tenant: Some((tenant.name.clone(), domain)) }))
}

impl Loaded {
    /// A fleet file with what it names, all of it read.
    pub fn of(
        fleet: Fleet,
        tenants: Tenants,
        groups: Vec<Group>,
        parts: Parts,
        selected: Vec<usize>,
        folder: Folder,
    ) -> Loaded {
        let members = |(at, group): (usize, &Group)| {
            group.members.iter().map(move |member| (*member, at)).collect::<Vec<_>>()
        };
        let group_of = groups.iter().enumerate().flat_map(members).collect();
        let tables = tables_of(&tenants);
        Loaded { fleet, tenants, groups, group_of, parts, tables, selected, folder, is_our_own: false }
    }

    /// The name of a tenant, and of the wave that takes it.
    pub fn name_and_wave(&self, at: usize) -> (String, String) {
        let wave = self.group_of.get(&at).map(|group| self.groups[*group].name.clone());
        (self.tenants.list[at].name.clone(), wave.unwrap_or_default())
    }

    /// The manifest of a tenant as a text.
    pub fn render(&self, at: usize) -> Rendered {
        self.parts.render(&self.fleet, &self.tenants.list[at], &self.tables)
    }

    /// The name under which a tenant's manifest is read: it stands where the base stands.
    pub fn file_of(&self, at: usize) -> String {
        format!("{}#{}", self.parts.base.source.file, self.tenants.list[at].name)
    }

    /// The paths of all files that the fleet reads, below the folder of the fleet file.
    pub fn files(&self, fleet: &Path) -> Vec<PathBuf> {
        let folder = fleet.parent().unwrap_or(Path::new(""));
        let table = match &self.fleet.tenants {
            Place::File(relative) => Some(relative.as_str()),
            Place::Inline(_) => None,
        };
        let overlays = self.fleet.overlays.iter().map(|overlay| overlay.merge.as_str());
        let all = table.into_iter().chain([self.fleet.base.as_str()]).chain(overlays);
        all.map(|relative| folder.join(relative)).collect()
    }

    /// Reads and resolves the manifest of each selected tenant, and of those whose outputs they take. `None`: there are
    /// errors, which were printed.
    pub fn make(
        &self,
        args: &ManifestArgs,
        twin: bool,
        missing: Missing,
        shell: &mut Shell,
    ) -> Result<Option<Vec<Made>>> {
        let mut problems = Problems::new(&self.fleet, &self.parts, &self.tenants);
        let mut made: Vec<Made> = Vec::with_capacity(self.selected.len());
        let position: BTreeMap<&str, usize> =
            self.tenants.list.iter().enumerate().map(|(at, tenant)| (tenant.name.as_str(), at)).collect();
        let mut queue = self.selected.clone();
        let mut queued: BTreeSet<usize> = queue.iter().copied().collect();
        let mut next = 0;
        while let Some(at) = queue.get(next).copied() {
            let only_read = next >= self.selected.len();
            next += 1;
            let (tenant, file) = (&self.tenants.list[at], self.file_of(at));
            let rendered = self.render(at);
            let parsed = match manifest::read(&file, &rendered.text, &self.tables) {
                Ok(parsed) => parsed,
                Err(rejected) => {
                    problems.add(tenant, &rendered, &file, &rejected.diagnostics);
                    continue;
                }
            };
            let domain = tenant.cell("domain").unwrap_or_default().to_owned();
            let whose = Some((tenant.name.clone(), domain));
            let sources = Outside::new(&parsed, &self.folder, args, twin, whose)?;
            let examined = manifest::examine(&parsed, &sources, missing, &kinds::check);
            let mut found = examined.diagnostics;
            found.retain(|one| !self.is_our_own || one.problem.severity == Severity::Error);
            problems.add(tenant, &rendered, &file, &found);
            let manifest = Rc::new(examined.manifest);
            let taken = handed::taken(&manifest);
            let takes: BTreeSet<usize> =
                taken.iter().filter_map(|(name, ..)| position.get(name.as_str()).copied()).collect();
            queue.extend(takes.iter().filter(|hub| queued.insert(**hub)));
            let is_handed_in = is_handed_in(&parsed);
            made.push(Made { at, manifest, is_handed_in, takes, depth: 0, only_read });
        }
        if !problems.has_errors() {
            hubs::check(self, &mut made, &mut problems);
        }
        let has_errors = problems.has_errors();
        let told = problems.finish();
        for (source, found) in &told {
            shell.reports.note(found, source);
            super::super::drawing::draw(found, source, shell);
        }
        if has_errors {
            let errors = diag::errors(told.iter().flat_map(|(_, found)| found)).unwrap_or_default();
            let words = format!("{errors} in the manifests of the fleet");
            shell.say.err_line(&words);
            shell.refused = Some(words);
            return Ok(None);
        }
        let found = hubs::too_late(self, &made);
        if !found.is_empty() {
            tell(&found, &self.fleet.parsed.source, shell);
            return Ok(None);
        }
        if let Some(wrong) = self.contradiction(&made) {
            return Err(wrong);
        }
        Ok(Some(made))
    }

    /// A table that says one thing of a tenant while its manifest says another: domain, account.
    fn contradiction(&self, made: &[Made]) -> Option<Error> {
        for one in made {
            let tenant = &self.tenants.list[one.at];
            for (column, section, key) in
                [("domain", "auth0", "domain"), ("account_sid", "twilio", "account_sid")]
            {
                let secret = || one.manifest.secret(section, key).map(|secret| secret.expose());
                let (Some(cell), Some(value)) = (
                    tenant.cell(column).filter(|cell| !cell.is_empty()),
                    one.manifest.text(section, key).or_else(secret),
                ) else {
                    continue;
                };
                if cell != value {
                    let text = format!(
                        "the table says that {column} of {} is {cell}, and the manifest of the tenant says {value}; nothing was sent",
                        tenant.name
                    );
                    return Some(Error::manifest(text).help(format!(
                        "write {section}: {{ {key}: \"${{tenant.{column}}}\" }} in {}",
                        self.parts.base.source.file
                    )));
                }
            }
        }
        // Without a column for it, two tenants may still lead to one domain.
        let mut seen = BTreeMap::new();
        for one in made {
            let Some(domain) = one.manifest.text("auth0", "domain") else { continue };
            if let Some(other) = seen.insert(domain, &self.tenants.list[one.at].name) {
                let name = &self.tenants.list[one.at].name;
                let text = format!(
                    "the manifests of {other} and {name} lead to the same tenant, {domain}; nothing was sent"
                );
                return Some(Error::manifest(text).help(
                    "give the table a column domain, and the base auth0: { domain: \"${tenant.domain}\" }",
                ));
            }
        }
        None
    }
}
