//! Takes the secrets off `pillarbox.toml`: the text between quotes is written over in place, so that the file keeps its
//! length and says the same otherwise. Empty quotes mean "the one that was taken".

use std::ops::Range;

/// The file's bytes with every secret emptied; nothing when there is none.
pub fn emptied(bytes: &[u8], secrets: &[Range<usize>]) -> Option<Vec<u8>> {
    if secrets.is_empty() {
        return None;
    }
    let mut content = bytes.to_vec();
    for secret in secrets {
        content[secret.clone()].fill(b' ');
        content[secret.start..secret.start + 2].copy_from_slice(b"\"\"");
    }
    Some(content)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::read;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let text = "\u{feff}# mine\nname = \"kitchen\" # here\n[wifi]\nname = \"Home\"\npassword = 'one and only' # ours\n\
                    [notify]\nntfy = { url = \"https://ntfy.sh/topic\", token = \"tk_abc\" }\n[notify.email]\nserver = \
                    \"a.org\"\nuser = \"me\"\npassword = \"\"\"\nlonger\n\"\"\"\nfrom = \"a@b.org\"\nto = [\"a@b.org\"]\n";
        let first = read(text.replace("\nlonger\n", "longer").as_bytes()).unwrap();
        assert_eq!(first.secrets.len(), 4);
        let text = text.replace("\nlonger\n", "longer");
        let content = emptied(text.as_bytes(), &first.secrets).unwrap();
        assert_eq!(content.len(), text.len());
        let after = String::from_utf8(content.clone()).unwrap();
        for secret in ["only", "topic", "tk_abc", "longer"] {
            assert!(!after.contains(secret), "{after}");
        }
        assert!(
            after.contains("# ours") && after.contains("name = \"kitchen\" # here"),
            "{after}"
        );
        let second = read(&content).unwrap();
        assert_eq!(emptied(&content, &second.secrets), None);
        assert_eq!(second.settings.recall(&first.settings).unwrap(), first.settings);
    }

    #[test]
    fn what_was_taken_is_for_the_same_place_alone() {
        let kept =
            read(b"[wifi]\nname = \"a\"\npassword = \"longenough\"\n[notify.ntfy]\nurl = \"https://a.org/x\"").unwrap();
        for (text, key) in [
            ("[wifi]\nname = \"b\"\npassword = \"\"", Some("wifi.password")),
            ("[wifi]\nname = \"a\"\npassword = \"\"", None),
            ("[notify.ntfy]\nurl = \"\"", None),
            ("[notify.ntfy]\nurl = \"\"\ntoken = \"\"", Some("notify.ntfy.token")),
            ("[notify.webhook]\nurl = \"\"", Some("notify.webhook.url")),
        ] {
            let recalled = read(text.as_bytes()).unwrap().settings.recall(&kept.settings);
            assert_eq!(recalled.err().and_then(|mistake| mistake.key).as_deref(), key, "{text}");
        }
    }

    proptest! {
        /// However a password is written, the file can be read again and says the same without it.
        #[test]
        fn any_password_goes(password in "[ -~é]{8,40}", indent in "[ \t]{0,3}") {
            let text = format!("[wifi]\n{indent}name = \"a\"\n{indent}password = {} # x\n", toml::Value::String(password.clone()));
            if let Ok(first) = read(text.as_bytes()) {
                let content = emptied(text.as_bytes(), &first.secrets).unwrap();
                let second = read(&content).unwrap();
                prop_assert!(second.secrets.is_empty());
                prop_assert_eq!(second.settings.recall(&first.settings).unwrap(), first.settings);
            }
        }
    }
}
