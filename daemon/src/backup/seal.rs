//! Encryption with a passphrase: the age format (C2SP, "The age file encryption format", version 1) with its scrypt
//! recipient, so that any `age` opens a backup.
//!
//! Scrypt takes 128 · r · N bytes (RFC 7914, section 2) and age's r is 8. N = 2¹⁶ is 64 MiB, which a board of 512 MiB
//! has to spare for a second; age's own choice of 2¹⁸ would be half of that board. A file that asks for more is refused
//! before any work is done.

use std::io::{Read, Write};
use std::iter;

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, scrypt};

use super::Passphrase;
use super::bundle::MAX_BYTES;

const LOG_N: u8 = 16;
/// Header and nonce take some hundred bytes, and each 64 KiB 16 more.
pub const MAX_SEALED_BYTES: usize = MAX_BYTES + 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the passphrase is wrong; type the one that this backup was made with")]
    Passphrase,
    #[error("this is not a Pillarbox backup; choose the file that was downloaded")]
    NoBackup,
    #[error("the backup is cut short or damaged; use another copy of it")]
    Damaged,
    #[error(
        "the file has more than {MAX_SEALED_BYTES} bytes, which no backup has; choose the file that was downloaded"
    )]
    TooLarge,
    #[error("the file was encrypted with more work (2^{0}) than a box does (2^{LOG_N}); no Pillarbox made it")]
    Work(u8),
    #[error("cannot encrypt: {0}")]
    Encrypt(String),
}

pub(super) fn seal(passphrase: &Passphrase, plain: &[u8]) -> Result<Vec<u8>, Trouble> {
    let said = |error: &dyn std::fmt::Display| Trouble::Encrypt(error.to_string());
    let mut recipient = scrypt::Recipient::new(secret(passphrase));
    recipient.set_work_factor(LOG_N);
    let encryptor =
        Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient)).map_err(|error| said(&error))?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(|error| said(&error))?;
    writer
        .write_all(plain)
        .and_then(|()| writer.finish())
        .map_err(|error| said(&error))?;
    Ok(sealed)
}

pub(super) fn open(passphrase: &Passphrase, sealed: &[u8]) -> Result<Vec<u8>, Trouble> {
    if sealed.len() > MAX_SEALED_BYTES {
        return Err(Trouble::TooLarge);
    }
    if !sealed.starts_with(b"age-encryption.org/") {
        return Err(Trouble::NoBackup);
    }
    let decryptor = Decryptor::new_buffered(sealed).map_err(|_| Trouble::Damaged)?;
    if !decryptor.is_scrypt() {
        return Err(Trouble::NoBackup);
    }
    let mut identity = scrypt::Identity::new(secret(passphrase));
    identity.set_max_work_factor(LOG_N);
    let reader = decryptor
        .decrypt(iter::once(&identity as &dyn age::Identity))
        .map_err(|error| match error {
            DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => Trouble::Passphrase,
            DecryptError::ExcessiveWork { required, .. } => Trouble::Work(required),
            _ => Trouble::Damaged,
        })?;
    let mut plain = Vec::new();
    // A byte more than fits tells a bundle that is too large from one that just fits.
    reader
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|_| Trouble::Damaged)?;
    Ok(plain)
}

fn secret(passphrase: &Passphrase) -> SecretString {
    SecretString::from(passphrase.reveal().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_file_and_the_right_passphrase_open_it() {
        let (right, wrong) = (
            Passphrase("correct horse".to_owned()),
            Passphrase("battery staple".to_owned()),
        );
        let sealed = seal(&right, b"a secret").unwrap();
        assert!(!sealed.windows(8).any(|bytes| bytes == b"a secret"));
        assert_eq!(open(&right, &sealed).unwrap(), b"a secret");
        assert!(matches!(open(&wrong, &sealed), Err(Trouble::Passphrase)));
        for cut in [sealed.len() - 1, sealed.len() - 20, 100, 40] {
            assert!(matches!(open(&right, &sealed[..cut]), Err(Trouble::Damaged)), "{cut}");
        }
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(matches!(open(&right, &changed), Err(Trouble::Damaged)));
        for other in [&b""[..], b"PK\x03\x04", b"{}"] {
            assert!(matches!(open(&right, other), Err(Trouble::NoBackup)));
        }
        assert!(matches!(
            open(&right, &vec![0; MAX_SEALED_BYTES + 1]),
            Err(Trouble::TooLarge)
        ));
    }

    /// Nobody can make the box spend more memory than it has.
    #[test]
    fn more_work_is_refused() {
        let mut recipient = scrypt::Recipient::new(SecretString::from("correct horse".to_owned()));
        recipient.set_work_factor(LOG_N + 1);
        let sealed = age::encrypt(&recipient, b"x").unwrap();
        let passphrase = Passphrase("correct horse".to_owned());
        assert!(matches!(open(&passphrase, &sealed), Err(Trouble::Work(17))));
    }
}
