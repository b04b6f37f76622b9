//! The tenants of a fleet, as data: a list in the fleet file, or a file in CSV, YAML or JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::text_of;
use crate::diag::{Diagnostic, Problem, Span, codes, nearest};
use crate::manifest::source::shown;
use crate::manifest::{Source, connection};

/// Most tenants of a fleet.
pub const TENANTS_MAX: usize = 10_000;

/// Longest name of a tenant.
const NAME_MAX: usize = 63;

/// Keys of an entry that hold further columns.
const GROUPS: [&str; 2] = ["labels", "variables"];

/// A tenant of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant {
    pub name: String,
    /// Every column with its value, `name` and `domain` too.
    pub cells: BTreeMap<String, String>,
    /// Line and column of its entry in the table, from 1.
    pub place: (usize, usize),
}

impl Tenant {
    /// A column's value. `key` is the name as a part of a variable's name, unless the table has a column of that name.
    pub fn cell(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(String::as_str)
    }
}

/// The tenants in the order of the table.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    pub list: Vec<Tenant>,
    /// The file that they stand in, as shown in messages.
    pub file: String,
    pub columns: BTreeSet<String>,
}

impl Tenants {
    /// The column that a name means, for a message: the nearest one.
    pub fn near(&self, column: &str) -> String {
        match nearest(column, self.columns.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => {
                let names: Vec<&str> = self.columns.iter().map(String::as_str).collect();
                format!("the table has {}", names.join(", "))
            }
        }
    }
}

/// What a row of a table says, before it is checked.
struct Row {
    place: (usize, usize),
    cells: Vec<(String, Json)>,
}

/// Gathers the problems of a table. Its text is not drawn: a wrong name may have led to any file.
struct Found<'a> {
    file: &'a str,
    list: Vec<Diagnostic>,
}

impl Found<'_> {
    fn push(&mut self, place: (usize, usize), code: codes::Code, words: [&str; 3]) {
        let [title, reason, help] = words;
        let problem = Problem::error(code, "tenants", title, reason, help);
        let span = Some(Span { line: place.0, column: place.1, start: 0, end: 0 });
        self.list.push(Diagnostic { problem, file: self.file.to_owned(), span });
    }
}

/// Reads a table in CSV with a line of column names.
///
/// # Errors
/// Everything that is wrong with it.
pub fn from_csv(file: &str, text: &str) -> Result<Tenants, Vec<Diagnostic>> {
    let mut found = Found { file, list: Vec::new() };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    };
    if !header.iter().any(|column| column == "name") {
        let reason = "the first line has no column called name";
        found.push(
            (1, 1),
            codes::MISSING_KEY,
            [
                "the table has no names of tenants",
                reason,
                "begin the file with a line of column names, such as name,domain,plan",
            ],
        );
        return Err(found.list);
    }
    let mut seen = BTreeSet::new();
    for column in &header {
        if !seen.insert(column) {
            let title = format!("the column {} stands in the table twice", shown(column));
            found.push(
                (1, 1),
                codes::DUPLICATE_KEY,
                [&title, "the first line names it twice", "keep one of the two"],
            );
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(1, |at| at.line() as usize);
                found.push(
                    (line, 1),
                    codes::NOT_YAML,
                    [
                        "the table cannot be read",
                        "the line is no CSV in UTF-8",
                        "check quotes and encoding of this line",
                    ],
                );
                break;
            }
        };
        let place = (record.position().map_or(1, |at| at.line() as usize), 1);
        if record.len() != header.len() {
            let title = "a row of the table has another number of cells than its first line";
            let reason = format!("has {}, the first line has {}", record.len(), header.len());
            found.push(
                place,
                codes::WRONG_TYPE,
                [title, &reason, "write a cell for each column; put a text with a comma in quotes"],
            );
            continue;
        }
        let cells = header.iter().zip(record.iter());
        rows.push(Row {
            place,
            cells: cells.map(|(column, cell)| (column.clone(), Json::from(cell))).collect(),
        });
    }
    checked(rows, found)
}

/// Reads the entries of a list, `where_is` telling line and column of a dotted path.
fn from_list(
    list: &Json,
    mut found: Found<'_>,
    where_is: &dyn Fn(&str) -> (usize, usize),
) -> Result<Tenants, Vec<Diagnostic>> {
    let Json::Array(items) = list else {
        found.push(
            where_is(""),
            codes::WRONG_TYPE,
            [
                "the tenants are no list",
                "a list of tenants is needed here",
                "write - { name: acme-dev, domain: acme-dev.eu.auth0.com } for each",
            ],
        );
        return Err(found.list);
    };
    let mut rows = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let place = where_is(&at.to_string());
        let Json::Object(members) = item else {
            found.push(
                place,
                codes::WRONG_TYPE,
                [
                    "a tenant is no mapping",
                    "name and domain are needed here",
                    "write { name: acme-dev, domain: acme-dev.eu.auth0.com }",
                ],
            );
            continue;
        };
        rows.push(Row { place, cells: flattened(members) });
    }
    checked(rows, found)
}

/// The members of an entry, those of its groups too.
fn flattened(members: &Map<String, Json>) -> Vec<(String, Json)> {
    let mut out = Vec::new();
    for (key, value) in members {
        match value {
            Json::Object(inner) if GROUPS.contains(&key.as_str()) => {
                out.extend(inner.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            value => out.push((key.clone(), value.clone())),
        }
    }
    out
}

/// Reads the list of a fleet file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn inline(source: &Source, list: &Json) -> Result<Tenants, Vec<Diagnostic>> {
    let where_is = |path: &str| {
        let path = if path.is_empty() { "tenants".to_owned() } else { format!("tenants.{path}") };
        place_of(source, &path)
    };
    from_list(list, Found { file: &source.file, list: Vec::new() }, &where_is)
}

fn place_of(source: &Source, path: &str) -> (usize, usize) {
    let problem = Problem::error(codes::WRONG_TYPE, path, "", "", "");
    source.locate(problem).span.map_or((1, 1), |span| (span.line, span.column))
}

/// Reads a list in YAML or JSON.
///
/// # Errors
/// Everything that is wrong with it.
pub fn from_yaml(file: &str, text: &str) -> Result<Tenants, Vec<Diagnostic>> {
    let mut found = Found { file, list: Vec::new() };
    let source = Source::new(file, text);
    let read: Result<Json, _> = serde_yaml::from_str(text);
    let json = match read {
        Ok(Json::Object(members)) if members.len() == 1 && members.contains_key("tenants") => {
            return inline(&source, &members["tenants"]);
        }
        Ok(json) => json,
        Err(error) => {
            let place = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            found.push(
                place,
                codes::NOT_YAML,
                [
                    "the table cannot be read",
                    "here the text stops being YAML or JSON",
                    "mend the text at or above this place",
                ],
            );
            return Err(found.list);
        }
    };
    from_list(&json, found, &|path| place_of(&source, path))
}

fn checked(rows: Vec<Row>, mut found: Found<'_>) -> Result<Tenants, Vec<Diagnostic>> {
    if rows.len() > TENANTS_MAX {
        let reason = format!("has {} tenants, at most {TENANTS_MAX} are read", rows.len());
        found.push(
            (1, 1),
            codes::OUT_OF_RANGE,
            ["the table is too long", &reason, "make several fleets of it"],
        );
        return Err(found.list);
    }
    let mut tenants = Tenants { file: found.file.to_owned(), ..Tenants::default() };
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut domains: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        let Some(tenant) = tenant(row, &mut found) else { continue };
        tenants.columns.extend(tenant.cells.keys().cloned());
        let line = tenant.place.0;
        if let Some(first) = names.insert(tenant.name.clone(), line) {
            let title = format!("two tenants are called {}", shown(&tenant.name));
            let reason = format!("the other one stands on line {first}");
            found.push(
                tenant.place,
                codes::DUPLICATE_KEY,
                [&title, &reason, "give each tenant a name of its own"],
            );
        }
        if let Some(domain) = tenant.cell("domain").filter(|domain| !domain.is_empty())
            && let Some(first) = domains.insert(domain.to_owned(), line)
        {
            let title = format!("two tenants have the domain {}", shown(domain));
            let reason = format!("the other one stands on line {first}");
            found.push(
                tenant.place,
                codes::DUPLICATE_KEY,
                [&title, &reason, "remove one of the two: two runs would write to one tenant"],
            );
        }
        tenants.list.push(tenant);
    }
    if tenants.list.is_empty() && found.list.is_empty() {
        found.push(
            (1, 1),
            codes::MISSING_KEY,
            [
                "the fleet has no tenants",
                "the table is empty",
                "write a row for each tenant, with name and domain",
            ],
        );
    }
    // A column that some rows of a list leave out is empty there.
    let all = tenants.columns.clone();
    for tenant in &mut tenants.list {
        for column in &all {
            tenant.cells.entry(column.clone()).or_default();
        }
        let key = tenant.name.to_ascii_uppercase().replace(['-', '.'], "_");
        tenant.cells.entry("key".to_owned()).or_insert(key);
    }
    tenants.columns.insert("key".to_owned());
    if found.list.is_empty() { Ok(tenants) } else { Err(found.list) }
}

/// The checks of a name for columns whose form is known.
fn form(column: &str, cell: &str) -> Result<(), (String, String)> {
    match column {
        "domain" => connection::host_name(cell),
        "account_sid" => connection::account_sid(cell),
        _ => Ok(()),
    }
}

fn tenant(row: Row, found: &mut Found<'_>) -> Option<Tenant> {
    let place = row.place;
    let before = found.list.len();
    let mut cells: BTreeMap<String, String> = BTreeMap::new();
    for (column, value) in row.cells {
        let is_word = |ch: char| ch.is_ascii_alphanumeric() || ch == '_' || ch == '-';
        let Some(cell) = text_of(&value) else {
            let title = format!("the column {} has a list or a mapping", shown(&column));
            found.push(
                place,
                codes::WRONG_TYPE,
                [
                    &title,
                    "one value is needed for each column",
                    "write a text or a number; labels and variables may be mappings",
                ],
            );
            continue;
        };
        if column.is_empty() || !column.chars().all(is_word) {
            let title = format!("the column {} has a name that no reference can say", shown(&column));
            found.push(
                place,
                codes::BAD_TEXT,
                [&title, "a name has letters, digits, _ and -", "rename the column"],
            );
        } else if cell.contains("${") {
            let title = format!("the column {} has a reference in it", shown(&column));
            found.push(
                place,
                codes::BAD_REFERENCE,
                [
                    &title,
                    "a cell is plain text",
                    "put the reference into the base, as ${env.NAME_${tenant.key}}",
                ],
            );
        } else if cell.contains(char::is_control) {
            let title =
                format!("the column {} has a line break or a control character in it", shown(&column));
            found.push(place, codes::BAD_TEXT, [&title, "a cell is one line", "write it on one line"]);
        } else if let Err((reason, help)) =
            form(&column, &cell).or_else(|wrong| if cell.is_empty() { Ok(()) } else { Err(wrong) })
        {
            let title = format!("{} of a tenant is not valid: {}", column, shown(&cell));
            found.push(place, codes::BAD_TEXT, [&title, &reason, &help]);
        } else if cells.insert(column.clone(), cell).is_some() {
            let title = format!("a tenant has {} twice", shown(&column));
            found.push(
                place,
                codes::DUPLICATE_KEY,
                [
                    &title,
                    "labels and variables share their names with the other columns",
                    "keep one of the two",
                ],
            );
        }
    }
    let name = cells.get("name").cloned().unwrap_or_default();
    let is_name = name.len() <= NAME_MAX
        && name.starts_with(|ch: char| ch.is_ascii_alphanumeric())
        && name.chars().all(|ch| ch.is_ascii_alphanumeric() || "-_.".contains(ch));
    if name.is_empty() && found.list.len() == before {
        found.push(
            place,
            codes::MISSING_KEY,
            ["a tenant has no name", "name is needed for each tenant", "add name"],
        );
    } else if !is_name && found.list.len() == before {
        let title = format!("{} is no name of a tenant", shown(&name));
        found.push(
            place,
            codes::BAD_TEXT,
            [
                &title,
                "a name has letters, digits, -, _ and ., and at most 63 of them",
                "use a name such as acme-dev",
            ],
        );
    }
    (found.list.len() == before).then_some(Tenant { name, cells, place })
}

/// A text in which each `${tenant.COLUMN}` became the tenant's value.
pub struct Filled {
    pub text: String,
    /// The text was one reference to the table and nothing else.
    pub is_whole: bool,
    pub columns: Vec<String>,
    /// Names of columns that the table does not have.
    pub unknown: Vec<String>,
}

const OPEN: &str = "${tenant.";

/// Fills a text. A reference to the table may stand inside another reference: `${env.SECRET_${tenant.key}}`.
pub fn fill(text: &str, tenant: &Tenant) -> Filled {
    let mut filled =
        Filled { text: String::new(), is_whole: false, columns: Vec::new(), unknown: Vec::new() };
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        let after = &rest[start + OPEN.len()..];
        // `$${` is a literal, and a reference without its end is the ordinary reader's to refuse.
        let end = after.find('}').filter(|_| !rest[..start].ends_with('$'));
        let Some(end) = end else {
            filled.text.push_str(&rest[..start + OPEN.len()]);
            rest = after;
            continue;
        };
        let column = &after[..end];
        filled.text.push_str(&rest[..start]);
        filled.is_whole = rest.len() == text.len() && start == 0 && end + 1 == after.len();
        match tenant.cell(column) {
            Some(cell) => {
                filled.text.push_str(cell);
                filled.columns.push(column.to_owned());
            }
            None => filled.unknown.push(column.to_owned()),
        }
        rest = &after[end + 1..];
    }
    filled.text.push_str(rest);
    filled
}

/// A source that is not drawn, for problems of a table.
pub fn undrawn(file: &str) -> Arc<Source> {
    Arc::new(Source::unseen(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(cells: &[(&str, &str)]) -> Tenant {
        let cells = cells.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Tenant { cells, ..Tenant::default() }
    }

    #[test]
    fn references_to_the_table_are_filled_wherever_they_stand() {
        let acme = tenant(&[("name", "acme-dev"), ("key", "ACME_DEV"), ("n", "6")]);
        for (text, expected, is_whole) in [
            ("${tenant.n}", "6", true),
            ("x ${tenant.n}", "x 6", false),
            ("${tenant.n}${tenant.n}", "66", false),
            ("${env.SECRET_${tenant.key}}", "${env.SECRET_ACME_DEV}", false),
            ("${file.keys/${tenant.name}.pem}", "${file.keys/acme-dev.pem}", false),
            ("$${tenant.n}", "$${tenant.n}", false),
            ("${tenant.n", "${tenant.n", false),
            ("${env.A}", "${env.A}", false),
        ] {
            let filled = fill(text, &acme);
            assert_eq!((filled.text.as_str(), filled.is_whole), (expected, is_whole), "{text}");
        }
        assert_eq!(fill("${tenant.nope}", &acme).unknown, ["nope"]);
    }

    #[test]
    fn a_table_in_each_form_says_the_same() {
        let csv = "name,domain,plan,length\nacme-dev,acme-dev.eu.auth0.com,free,6\nacme-b, acme-b.eu.auth0.com ,\"a, b\",\n";
        let yaml = "- { name: acme-dev, domain: acme-dev.eu.auth0.com, labels: { plan: free }, variables: { length: 6 } }\n- { name: acme-b, domain: acme-b.eu.auth0.com, plan: 'a, b' }\n";
        let json = r#"{"tenants": [{"name": "acme-dev", "domain": "acme-dev.eu.auth0.com", "plan": "free", "length": 6},
                      {"name": "acme-b", "domain": "acme-b.eu.auth0.com", "plan": "a, b"}]}"#;
        let read = [from_csv("t.csv", csv), from_yaml("t.yaml", yaml), from_yaml("t.json", json)];
        let all: Vec<Vec<BTreeMap<String, String>>> = read
            .into_iter()
            .map(|table| table.expect("good").list.into_iter().map(|one| one.cells).collect())
            .collect();
        assert_eq!(all[0], all[1]);
        assert_eq!(all[0], all[2]);
        assert_eq!(all[0][0]["key"], "ACME_DEV");
        assert_eq!(all[0][1]["length"], "");
    }

    #[test]
    fn each_mistake_is_told_at_its_line() {
        for (text, expected) in [
            ("domain\nx\n", "t.csv:1:1: error[LS0106]: the table has no names of tenants"),
            ("name,name\na,b\n", "t.csv:1:1: error[LS0108]: the column name stands in the table twice"),
            ("name\n", "t.csv:1:1: error[LS0106]: the fleet has no tenants"),
            ("name\na\n\nb\na\n", "t.csv:5:1: error[LS0108]: two tenants are called a"),
            (
                "name,domain\na,a.example\nb,a.example\n",
                "t.csv:3:1: error[LS0108]: two tenants have the domain a.example",
            ),
            (
                "name,domain\na,b,c\n",
                "t.csv:2:1: error[LS0103]: a row of the table has another number of cells",
            ),
            ("name,domain\na,http://x\n", "t.csv:2:1: error[LS0107]: domain of a tenant is not valid"),
            ("name,account_sid\na,AC1\n", "t.csv:2:1: error[LS0107]: account_sid of a tenant is not valid"),
            ("name,x\na,${env.A}\n", "t.csv:2:1: error[LS0201]: the column x has a reference in it"),
            (
                "name,a b\na,1\n",
                "t.csv:2:1: error[LS0107]: the column a b has a name that no reference can say",
            ),
            ("name\n../x\n", "t.csv:2:1: error[LS0107]: ../x is no name of a tenant"),
            ("name,x\n,1\n", "t.csv:2:1: error[LS0106]: a tenant has no name"),
        ] {
            let found = from_csv("t.csv", text).expect_err(text);
            assert!(found[0].to_string().starts_with(expected), "{text}: {}", found[0]);
        }
        let found = from_yaml("t.yaml", "- { name: a }\n- x\n- { name: b, list: [1] }\n").expect_err("wrong");
        let places: Vec<_> = found.iter().map(|one| one.span.as_ref().map(|span| span.line)).collect();
        assert_eq!(places, [Some(2), Some(3)]);
        let long = "name\n".to_owned() + &(0..100_000).map(|at| format!("a{at}\n")).collect::<String>();
        assert!(from_csv("t.csv", &long).expect_err("long")[0].to_string().contains("has 100000 tenants"));
    }
}
