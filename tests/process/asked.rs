//! Tests of questions at the terminal and of the effect of each answer.

use super::lab::{Folder, QUICKSTART, Site, Twin, lockstep};

#[test]
fn an_apply_asks_and_no_is_no() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    for (typed, code) in [("", 1), ("n", 1), ("y", 0)] {
        let run = site.lockstep("apply", QUICKSTART, &[]).answered(&[("[y/N]", typed)]).expect(code);
        assert_eq!(run.err.contains("not confirmed; nothing was changed"), code == 1, "{}", run.err);
        assert_eq!(site.verify_services().len(), usize::from(code == 0), "{typed:?}");
    }
}

/// An unproven object is removed only when its own id is typed; `y`, or the id of another object, leaves it.
#[test]
fn what_nothing_proves_goes_when_its_id_is_typed() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    site.forget_seals();
    let refused = site.run("destroy", &["--yes"]).expect(1);
    let told = refused.out + &refused.err;
    let id = |rest: &str| rest.split([';', ' ', '\n']).next().unwrap_or_default().to_owned();
    let ids: Vec<String> = told.split("add --delete ").skip(1).map(id).collect();
    let service = site.verify_services()[0]["sid"].as_str().expect("a SID").to_owned();
    assert!(ids.contains(&service), "{told}");
    let questions: Vec<String> = ids.iter().map(|id| format!("type {id} (")).collect();
    for typed in ["y", "VA00000000000000000000000000000042", ""] {
        let mark = twin.mark();
        let answers: Vec<(&str, &str)> =
            questions.iter().map(|question| (question.as_str(), typed)).collect();
        let run = site.lockstep("destroy", QUICKSTART, &[]).answered(&answers);
        let sent = twin.writes_since(mark);
        assert!(
            !sent.iter().any(|line| ids.iter().any(|id| line.contains(id))),
            "{typed:?}: {sent:?}\n{}",
            run.err
        );
    }
    let named = questions.iter().zip(&ids).map(|(question, id)| (question.as_str(), id.as_str()));
    let answers: Vec<(&str, &str)> = named.chain([("[y/N]", "y")]).collect();
    site.lockstep("destroy", QUICKSTART, &[]).answered(&answers).expect(0);
    assert_eq!(site.verify_services().len(), 0);
}

/// A domain that only the manifest names gets no credential before a person types it.
#[test]
fn a_domain_of_nobody_is_asked_for() {
    let folder = Folder::new();
    let text =
        include_str!("../../manifests/quickstart.yaml").replace("${env.AUTH0_DOMAIN}", "login.evil.example");
    let manifest = folder.write("m.yaml", &text);
    let env = Site::env_of(1);
    let program = lockstep(&["plan", &manifest]).envs(&env);
    let run = program.answered(&[("Type the domain to go on:", "yes")]).expect(1);
    assert!(run.err.contains("nothing was sent"), "{}", run.err);
}
