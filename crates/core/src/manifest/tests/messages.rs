//! The messages for wrong manifests, word by word.

use super::*;

/// Each row: a text, and its problems without the file name.
#[test]
fn what_is_said_about_wrong_manifests() {
    let hex = "0123456789abcdef0123456789abcdef";
    let sid =
        format!("action:\n  code: builtin:twilio-verify\n  secrets: {{ A: AC{hex}, B: hunter2-hunter2 }}\n");
    let rows: Vec<(String, &[&str])> = vec![
        (
            "".into(),
            &["1:1: error[LS0106]: the manifest is empty (help: start from manifests/quickstart.yaml)"],
        ),
        (
            with("verify_service: {\n  friendly_name: ${env.P}\n}\n"),
            &[
                "12:18: error[LS0101]: the text is not YAML: inside {…} or […], a reference needs quotes (help: write \"${env.P}\")",
            ],
        ),
        (
            with("phone: { channels: [ ${env.P} ] }\n"),
            &[
                "11:22: error[LS0101]: the text is not YAML: inside {…} or […], a reference needs quotes (help: write \"${env.P}\")",
            ],
        ),
        (
            with("action:\n  code: builtin:twilio-verify\n  dependencies: { a: 1e3, b: 0x10, c: true }\n"),
            &[
                "13:22: error[LS0103]: a has the wrong type: YAML reads this as a decimal number, but text is needed (help: put it in quotes: \"1e3\")",
                "13:30: error[LS0103]: b has the wrong type: YAML reads this as a number, but text is needed (help: put it in quotes: \"0x10\")",
                "13:39: error[LS0103]: c has the wrong type: YAML reads this as true or false, but text is needed (help: put it in quotes: \"true\")",
            ],
        ),
        (
            "lockstep: v1\na: [\nb: 1\n".into(),
            &["2:4: error[LS0101]: the text is not YAML: this [ is not closed (help: close it with ])"],
        ),
        (
            "lockstep: v1\na: \"\\q\"\n".into(),
            &[
                "2:5: error[LS0101]: the text is not YAML: in double quotes, \\ begins an escape, and this one does not exist (help: use single quotes, in which \\ stands for itself, or write \\\\)",
            ],
        ),
        (
            "lockstep: v1\na: *nothing\n".into(),
            &[
                "2:4: error[LS0101]: the text is not YAML: * and & stand for an alias and its anchor, and this one leads nowhere (help: put a text that begins with * or & in quotes)",
            ],
        ),
        (
            "lockstep: v2\nnew: things\n".into(),
            &[
                "1:11: error[LS0109]: the manifest has a version that this program does not read: must be v1 (help: write lockstep: v1)",
            ],
        ),
        (
            "- a\n".into(),
            &[
                "1:1: error[LS0101]: the file is not a manifest: no line of it begins with lockstep: (help: name the manifest, or write lockstep: v1 as its first line)",
            ],
        ),
        (
            "lockstep: v1\nstack: 7\n".into(),
            &[
                "1:1: error[LS0106]: auth0 is missing: auth0 is required here (help: add auth0: to the file (the tenant and the application that manages it))",
                "1:1: error[LS0106]: twilio is missing: twilio is required here (help: add twilio: to the file (the account and a key to it))",
                "2:8: error[LS0103]: stack has the wrong type: YAML reads this as a number, but text is needed (help: put it in quotes: \"7\")",
            ],
        ),
        (
            with("verify_service: 3\n"),
            &[
                "11:17: error[LS0103]: verify_service has the wrong type: this is a number, but a mapping is needed (help: write verify_service: { friendly_name: …, code_length: 6 }, or these keys on lines of their own below it)",
            ],
        ),
        (
            with("verify_service:\n  code_length: 6\n  code_length: 7\n"),
            &[
                "13:3: error[LS0108]: the key code_length is written twice: first written on line 12 (help: keep one of the two)",
            ],
        ),
        (
            with("verify_service:\n  code_length:\n"),
            &[
                "12:3: error[LS0103]: code_length has no value: a key without a value means nothing (help: remove the key to leave the setting as it is, or write a value)",
            ],
        ),
        (
            with("code_length: 6\n"),
            &[
                "11:1: error[LS0102]: unknown key code_length: the manifest has no such key (help: code_length belongs below verify_service:)",
            ],
        ),
        (
            with("zzz: 6\n1: 2\n"),
            &[
                "11:1: error[LS0102]: unknown key zzz: the manifest has no such key (help: the keys here are lockstep, stack, accept, action, attest, auth0, feedback, mfa, phone, twilio and verify_service)",
                "12:1: error[LS0103]: 1 has the wrong type: YAML does not read this key as text (help: put the key in quotes)",
            ],
        ),
        (
            with("phone:\n  <<: { delivery: legacy }\n"),
            &[
                "12:3: error[LS0102]: unknown key <<: phone has no such key (help: merge keys are not read: write the keys out)",
            ],
        ),
        (
            with("phone: { channels: [sms, sms] }\n"),
            &[
                "11:26: error[LS0105]: channels has an entry twice: sms is in the list already (help: remove one of the two)",
            ],
        ),
        (
            with("phone: { channels: sms, delivery: legcy }\n"),
            &[
                "11:20: error[LS0103]: channels has the wrong type: this is text, but a list is needed (help: write channels: [sms])",
                "11:35: error[LS0105]: delivery is not one of the allowed words: must be unified or legacy (help: did you mean legacy?)",
            ],
        ),
        (
            with("mfa:\n  factors: { phone: maybe, sms: on }\n"),
            &[
                "12:21: error[LS0103]: phone has the wrong type: this is neither on nor off (help: write true or false)",
                "12:28: error[LS0102]: unknown key sms: mfa.factors has no such key (help: did you mean phone?)",
            ],
        ),
        (
            with("action:\n  runtime: node24\n"),
            &[
                "11:1: error[LS0106]: code is missing: code is required here (help: add code: below action:)",
                "12:12: warning[LS0105]: runtime is a word that this program does not know: known are node22 and node18 (help: did you mean node22?)",
            ],
        ),
        (
            with("action:\n  code: builtin:nothing\n"),
            &[
                "12:9: error[LS0105]: there is no built-in code nothing: there are twilio-verify, twilio-verify-legacy, twilio-verify-fetch, twilio-verify-fetch-legacy, verify-feedback, login-feedback and mfa-post-login (help: write builtin: and one of these names, or the path of a file)",
            ],
        ),
        (
            with("action:\n  code: ../x.js\n"),
            &[
                "12:9: error[LS0203]: code is not a usable path: the path leads out of the manifest's folder (help: name a file below the manifest's folder, with / between the parts)",
            ],
        ),
        (
            with("action:\n  code: ./x.js\n"),
            &[
                "12:9: error[LS0203]: the file ./x.js cannot be used: there is no such file (help: check the path; it starts beside the manifest)",
            ],
        ),
        (
            with("action:\n  code: builtin:twilio-verify\n  runtime: node24\n"),
            &[
                "13:12: warning[LS0105]: runtime is a word that this program does not know: known are node22 and node18 (help: did you mean node22?)",
            ],
        ),
        (
            with("action:\n  code: builtin:twilio-verify\n  dependencies: { twilio: 6.2, x: 6, y: }\n"),
            &[
                "13:27: error[LS0103]: twilio has the wrong type: YAML reads this as a decimal number, but text is needed (help: put it in quotes: \"6.2\")",
                "13:35: error[LS0103]: x has the wrong type: YAML reads this as a number, but text is needed (help: put it in quotes: \"6\")",
                "13:38: error[LS0103]: y has no value: text is needed (help: write a value, or remove the name)",
            ],
        ),
        (
            with(&sid),
            &[
                "13:56: error[LS0204]: B is a secret, written in clear: everyone who reads this file reads the secret (help: use ${env.B} and keep the value outside the file)",
            ],
        ),
        (
            with("attest: { fraud_guard: { by: me } }\n"),
            &[
                "11:11: error[LS0106]: level is missing: level is required here (help: add level: below attest.fraud_guard:)",
            ],
        ),
        (
            with("verify_service: { friendly_name: ${env.P} }\n"),
            &[
                "11:34: error[LS0101]: the text is not YAML: inside {…} or […], a reference needs quotes (help: write \"${env.P}\")",
            ],
        ),
        (
            with("verify_service:\n  friendly_name: \"x ${env.P\"\n"),
            &[
                "12:21: error[LS0201]: a reference that cannot be read: the reference has no closing } (help: close it with }, or write $${ for a literal ${)",
            ],
        ),
        (
            with("verify_service:\n  friendly_name: \"\\u00e4 ${ env.P } ${env:P}\"\n"),
            &[
                "12:26: error[LS0201]: a reference that cannot be read: white space inside the braces (help: write it without blanks: ${env.NAME})",
                "12:37: error[LS0201]: a reference that cannot be read: not a reference (help: write ${env.NAME}, ${file.PATH}, ${var.NAME}, ${cmd.NAME}, ${generated.NAME}, ${minted.NAME.PART} or ${section.key})",
            ],
        ),
        (
            with("verify_service:\n  friendly_name: ${verify_service.sdi}\n"),
            &[
                "12:18: error[LS0201]: the reference verify_service.sdi cannot be used: nothing has this name (help: did you mean ${verify_service.sid}?)",
            ],
        ),
        (
            with("verify_service:\n  friendly_name: ${P}\n"),
            &[
                "12:18: error[LS0201]: the reference P cannot be used: nothing has this name (help: did you mean ${env.P}?)",
            ],
        ),
        (
            with("feedback: { log_stream: { endpoint: \"${verify_service.sid}\" } }\n"),
            &[
                "11:38: error[LS0201]: the reference verify_service.sid cannot be used: the manifest has no verify_service (help: add verify_service: to the file, or write the value out)",
            ],
        ),
        (
            with("verify_service:\n  code_length: ${generated.x}\n"),
            &[
                "12:16: error[LS0201]: the reference generated.x cannot be used: its value is a secret, and this field takes none (help: write the value, or use ${var.NAME})",
            ],
        ),
        (
            with("verify_service:\n  friendly_name: a ${generated.x}\n"),
            &[
                "12:20: error[LS0201]: the reference generated.x cannot be used: a generated secret has to stand alone (help: remove the text around it)",
            ],
        ),
        (
            with(
                "verify_service:\n  friendly_name: ${feedback.log_stream.endpoint}\nfeedback:\n  log_stream:\n    endpoint: x ${verify_service.friendly_name}\n",
            ),
            &[
                "12:18: error[LS0201]: references lead in a circle: feedback.log_stream.endpoint → verify_service.friendly_name → feedback.log_stream.endpoint (help: give one of them a value of its own)",
            ],
        ),
        (
            with("verify_service:\n  friendly_name: ${phone.channels}\n"),
            &[
                "12:18: error[LS0201]: the reference phone.channels cannot be used: phone.channels has no value in this manifest (help: give phone.channels a value)",
            ],
        ),
        (
            with("verify_service:\n  code_length: ${env.P}\n"),
            &[
                "12:16: error[LS0103]: code_length has the wrong type: this is text, but a whole number is needed (help: use a number from 4 to 10)",
            ],
        ),
        (
            with("verify_service:\n  friendly_name: ${cmd.nope}\n"),
            &[
                "12:18: error[LS0202]: cmd.nope has no value: the command nope is not allowed (help: allow it with --allow-cmd nope=COMMAND)",
            ],
        ),
        (
            with("---\nlockstep: v1\n"),
            &[
                "11:1: error[LS0101]: the file has more than one document: a second document starts here (help: write one manifest per file, without --- in it)",
            ],
        ),
        (
            with("phone:\n\tdelivery: legacy\n"),
            &[
                "12:1: error[LS0101]: the text is not YAML: a tab stands where blanks indent (help: indent with spaces: YAML allows no tabs here)",
            ],
        ),
        (
            with("phone: !x y\n"),
            &[
                "11:8: error[LS0101]: the text is not YAML: tags (!name) have no meaning in a manifest (help: put a text that begins with ! in quotes)",
            ],
        ),
        (
            SAMPLE.replace("  client_secret: ${env.AUTH0_CLIENT_SECRET}        # or private_key\n", ""),
            &[
                "3:1: error[LS0106]: auth0 has no credentials: without them no request can be made (help: add client_secret, or private_key)",
            ],
        ),
        (
            SAMPLE.replace("  api_secret: ${env.TWILIO_API_SECRET}\n", ""),
            &[
                "7:1: error[LS0106]: api_secret is missing: api_key does not work without api_secret (help: add api_secret: below twilio:)",
                "19:24: error[LS0201]: the reference twilio.api_secret cannot be used: twilio.api_secret has no value in this manifest (help: give twilio.api_secret a value)",
            ],
        ),
        (
            SAMPLE.replace(
                "  api_secret: ${env.TWILIO_API_SECRET}\n",
                "  api_secret: hunter2\n  auth_token: hunter2\n",
            ),
            &[
                "10:15: error[LS0204]: api_secret is a secret, written in clear: everyone who reads this file reads the secret (help: use ${env.API_SECRET} and keep the value outside the file)",
                "11:3: error[LS0301]: twilio has two kinds of credentials: api_key is there too (help: keep api_key and api_secret, or auth_token)",
                "11:15: error[LS0204]: auth_token is a secret, written in clear: everyone who reads this file reads the secret (help: use ${env.AUTH_TOKEN} and keep the value outside the file)",
            ],
        ),
        (
            SAMPLE.replace("domain: ${env.AUTH0_DOMAIN}", "domain: https://${env.AUTH0_DOMAIN}"),
            &[
                "4:11: error[LS0107]: domain is not valid: must be a host name without a scheme (help: write the bare host name, such as acme.eu.auth0.com)",
            ],
        ),
        (
            SAMPLE.replace("${env.AUTH0_DOMAIN}", "${file.secrets/feedback}"),
            &[
                "4:11: error[LS0107]: domain is not valid: is not a host name (help: write the bare host name, such as acme.eu.auth0.com)",
            ],
        ),
    ];
    let mut more = Vec::new();
    for (text, expected) in rows {
        let got = lines(&text, &given_sources());
        let got: Vec<_> = got.iter().map(|line| line.trim_start_matches("m.yaml:")).collect();
        if got != expected {
            more.push(format!("{text}\n{got:#?}\n{expected:#?}"));
        }
    }
    assert!(more.is_empty(), "{}", more.join("\n"));
}
