//! The reads of applications (clients) and of the connections whose users can sign in with them.
//!
//! No read asks for a client secret: each names the fields that it wants.

use serde_json::Value as Json;

use crate::kinds::{entries_with, is_id, text};
use crate::model::call::{Api, Failed, Get, Paging};
use crate::model::text::line;

/// The path at which applications are listed and created.
pub const CLIENTS: &str = "/api/v2/clients";

/// The strategy of database connections.
const DATABASE: &str = "auth0";

/// Items of a page, which is the most that the API gives ("Auth0 docs, Management API", 2026-08).
const TAKE: usize = 100;

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub id: String,
    pub name: String,
}

/// The read of one application.
pub fn read_client(id: &str) -> Get {
    let fields = "client_id,name,app_type,callbacks,allowed_logout_urls,web_origins,allowed_origins,grant_types,\
                  token_endpoint_auth_method,oidc_conformant,jwt_configuration,client_metadata";
    Get::whole(Api::Auth0, format!("{CLIENTS}/{id}?fields={fields}&include_fields=true"))
}

/// The list of all applications with their names and their metadata.
pub fn list_marked() -> Get {
    let path = format!("{CLIENTS}?fields=client_id,name,client_metadata&include_fields=true");
    Get { api: Api::Auth0, path, paging: Paging::Checkpoint { key: "clients", take: TAKE } }
}

/// The ids of the listed applications whose metadata have this value under this key.
///
/// # Errors
/// It is no list of applications.
pub fn marked(list: &Json, key: &str, value: &str) -> Result<Vec<String>, Failed> {
    let what = "GET /api/v2/clients";
    let clients = entries_with(list.get("clients"), &["/client_id"], what)?;
    let ours = clients.iter().filter(|client| client["client_metadata"][key].as_str() == Some(value));
    let ids: Vec<String> = ours.map(|client| text(client, "client_id").to_owned()).collect();
    match ids.iter().find(|id| !is_id(id)) {
        None => Ok(ids),
        Some(id) => Err(Failed::Misread(format!("{what}: {:?} is not a valid id", line(id)))),
    }
}

/// The search for the database connection with that name.
pub fn find_connection(name: &str) -> Get {
    let path = format!("/api/v2/connections?strategy={DATABASE}&name={name}&fields=id,name,strategy");
    Get::whole(Api::Auth0, path)
}

/// The connection with that name in the reply to the search for it.
///
/// # Errors
/// It is no list of connections.
pub fn of_connection(list: &Json, name: &str) -> Result<Option<Connection>, Failed> {
    let connections = entries_with(Some(list), &["/id", "/name"], "GET /api/v2/connections")?;
    let is_meant = |one: &&Json| text(one, "name") == name && text(one, "strategy") == DATABASE;
    let found = connections.iter().find(is_meant);
    Ok(found.map(|one| Connection { id: text(one, "id").to_owned(), name: name.to_owned() }))
}

/// The path at which the applications of a connection are listed, enabled and disabled.
pub fn enabled_path(connection: &str) -> String {
    format!("/api/v2/connections/{connection}/clients")
}

/// The list of the applications that are enabled for a connection.
pub fn list_enabled(connection: &str) -> Get {
    let paging = Paging::Checkpoint { key: "clients", take: TAKE };
    Get { api: Api::Auth0, path: enabled_path(connection), paging }
}

/// Whether the application is among those that are enabled for a connection.
///
/// # Errors
/// It is no list of applications.
pub fn has_client(list: &Json, id: &str) -> Result<bool, Failed> {
    let what = "GET /api/v2/connections/{id}/clients";
    let clients = entries_with(list.get("clients"), &["/client_id"], what)?;
    Ok(clients.iter().any(|client| text(client, "client_id") == id))
}
