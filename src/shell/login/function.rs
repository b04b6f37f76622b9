//! Calls of deployed Functions, as Twilio's gateway hands them over (Twilio docs, Functions, request and response, 2026).

use std::collections::BTreeMap;
use std::rc::Rc;

use lockstep_front::{Ask, Reply};
use lockstep_twin::Twin;
use lockstep_twin::world::{Dependency, FunctionVersion, Variable};

use super::super::code::{Call, Source, function_event};
use super::Loop;
use crate::model::secret::{Origin, Secret};

/// What is deployed at a host.
pub struct Deployed {
    versions: Vec<FunctionVersion>,
    dependencies: Vec<Dependency>,
    variables: Vec<Variable>,
}

/// The deployed build of the environment with that host name. `None`: the host is no Function's.
pub fn find(twin: &Twin, host: &str) -> Option<Deployed> {
    let services = twin.world.accounts.values().flat_map(|account| &account.serverless_services);
    let (service, environment) = services
        .flat_map(|service| service.environments.iter().map(move |one| (service, one)))
        .find(|(_, environment)| environment.domain_name == host)?;
    let build = service.builds.iter().find(|build| environment.build_sid.as_ref() == Some(&build.sid));
    let all = service.functions.iter().flat_map(|function| &function.versions);
    let versions =
        all.filter(|version| build.is_some_and(|build| build.function_versions.contains(&version.sid)));
    Some(Deployed {
        versions: versions.cloned().collect(),
        dependencies: build.map(|build| build.dependencies.clone()).unwrap_or_default(),
        variables: environment.variables.clone(),
    })
}

fn plain(status: u16, text: &str) -> Reply {
    Reply {
        status,
        headers: vec![("content-type".into(), "text/plain".into())],
        body: text.as_bytes().to_vec(),
    }
}

impl Loop {
    /// Runs the Function that is deployed at the path of a request.
    pub(super) async fn call_function(self: &Rc<Self>, ask: &Ask) -> Reply {
        let Some(deployed) = find(&self.twin.borrow(), &ask.host) else { return plain(404, "Not Found") };
        let path = ask.path.split('?').next().unwrap_or_default();
        // A protected Function wants a signature of Twilio, and nobody reaches a private one.
        let version = deployed.versions.iter().find(|one| one.path == path && one.visibility == "public");
        let Some(version) = version else { return plain(404, "Not Found") };
        let query = ask.path.split_once('?').map_or("", |(_, query)| query);
        let event = match function_event(&ask.headers, query, &ask.body) {
            Ok(event) => event,
            Err(why) => return plain(400, &why),
        };
        let source = Source {
            version: version.sid.clone(),
            code: version.content.clone(),
            dependencies: super::pairs(&deployed.dependencies),
        };
        let mut context: BTreeMap<String, Secret> = deployed
            .variables
            .iter()
            .map(|one| (one.key.clone(), Secret::new(one.value.clone(), Origin::Person)))
            .collect();
        let named = |value: &str| Secret::new(value.to_owned(), Origin::Person);
        context.insert("PATH".into(), named(path));
        context.insert("DOMAIN_NAME".into(), named(&ask.host));
        let ran = self.runner.run(&source, Call::Function { context, event }).await;
        match ran.outcome {
            Ok(reply) => {
                let headers = reply["headers"].as_object().into_iter().flatten();
                let headers =
                    headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
                let status =
                    reply["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
                let body = reply["body"].as_str().unwrap_or_default();
                let told = body.chars().take(200).collect::<String>();
                let failure = (status >= 400).then(|| format!("status {status}: {told}"));
                self.hop(&format!("Function {path} ran, {} ms", ran.ms), failure);
                Reply { status, headers: headers.collect(), body: body.as_bytes().to_vec() }
            }
            Err(failure) => {
                let (class, message) = super::words(&failure);
                self.hop(&format!("Function {path} ran, {} ms", ran.ms), Some(format!("{class}: {message}")));
                plain(500, "the Function failed")
            }
        }
    }
}
