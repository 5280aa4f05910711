//! Keys whose private halves are on a PKCS#11 token, named by a URI (RFC 7512):
//! `pkcs11:token=kaopu;object=sign?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/secrets/pin`.
//! Ed25519 (`CKM_EDDSA`) and P-256 (`CKM_ECDSA` over a digest that is computed here).

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::keys::{KeyFileError, read_secret};
use crate::statement::{PublicKey, SigningFailed, SigningKey, Suite};

/// Where the PIN comes from when the URI names no file.
const PIN: &str = "KAOPU_TOKEN_PIN";

/// Which key on which token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUri {
    /// As it was written; it holds no PIN.
    text: String,
    token: Option<String>,
    serial: Option<String>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    module: PathBuf,
    pin_source: Option<PathBuf>,
}

/// Why a key on a token can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The text is no URI of a key.
    #[error("{0:?} is not pkcs11:token=…;object=…?module-path=…&pin-source=file:…: {1}")]
    Uri(String, &'static str),
    /// The module or the token does not do what it is asked.
    #[error("token {uri}: {why}")]
    Token {
        /// Which key.
        uri: String,
        /// What went wrong.
        why: String,
    },
    /// The file of the PIN.
    #[error(transparent)]
    Pin(Box<KeyFileError>),
}

/// A session with the private key found in it.
struct Open {
    session: Option<Session>,
    key: ObjectHandle,
    /// Of which beginning of the module it is.
    begun: u64,
}

/// A module may be initialised once in a process.
static MODULES: LazyLock<Mutex<HashMap<PathBuf, Pkcs11>>> = LazyLock::new(Mutex::default);

/// How often modules were begun anew. Whoever uses one holds this to read, and whoever begins one anew to write: nothing
/// else is under way in it then, and no session of before is used again. Its number may be another's by now.
static BEGUN: RwLock<u64> = RwLock::new(0);

impl TokenUri {
    /// Finds the key. Its public half is read from the token; who uses it holds that against a descriptor.
    pub fn open(&self) -> Result<SigningKey, TokenError> {
        let (open, public) = self.connected(|open| self.public(open.session().map_err(|why| self.wrong(why))?))?;
        let (uri, suite, held) = (self.clone(), public.suite(), Mutex::new(Some(open)));
        let sign = move |message: &[u8]| {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            {
                let begun = BEGUN.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(open) = held.as_ref().filter(|open| open.begun == *begun)
                    && let Ok(signature) = open.sign(suite, message)
                {
                    return Ok(signature);
                }
            }
            // the session may be lost: once more with another
            *held = None;
            let signed = uri.connected(|open| open.sign(suite, message).map_err(|why| uri.wrong(why)));
            let (open, signature) = signed.map_err(|error| SigningFailed(error.to_string()))?;
            *held = Some(open);
            Ok(signature)
        };
        Ok(SigningKey::elsewhere(public, Arc::new(sign)))
    }

    /// Opens a session, and does something in it. A module may not see by itself that a token is plugged in again, so where
    /// it has none it is begun anew, once.
    fn connected<T>(&self, work: impl Fn(&Open) -> Result<T, TokenError>) -> Result<(Open, T), TokenError> {
        let attempt = || {
            let begun = BEGUN.read().unwrap_or_else(PoisonError::into_inner);
            let Some(open) = self.connect(*begun)? else { return Ok(None) };
            let done = work(&open);
            // a session is closed under the same lock
            drop(begun);
            Ok(Some((open, done?)))
        };
        let found = match attempt()? {
            Some(found) => Some(found),
            None => {
                self.begin_anew()?;
                attempt()?
            }
        };
        found.ok_or_else(|| self.wrong("no such token is plugged in"))
    }

    /// A session with the token, if there is such a one.
    fn connect(&self, begun: u64) -> Result<Option<Open>, TokenError> {
        let failed = |error: Error| self.wrong(error.to_string());
        let module = self.module()?;
        for slot in module.get_slots_with_token().map_err(failed)? {
            // one that was pulled out may still be listed
            let Ok(info) = module.get_token_info(slot) else { continue };
            let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found.trim());
            if !is(&self.token, info.label()) || !is(&self.serial, info.serial_number()) {
                continue;
            }
            let session = module.open_ro_session(slot).map_err(failed)?;
            let pin = AuthPin::from(self.pin()?);
            match session.login(UserType::User, Some(&pin)) {
                Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
                Err(error) => return Err(failed(error)),
            }
            let key = self.find(&session, ObjectClass::PRIVATE_KEY)?;
            return Ok(Some(Open { session: Some(session), key, begun }));
        }
        Ok(None)
    }

    /// Ends the module and begins it again, while nobody is in it.
    fn begin_anew(&self) -> Result<(), TokenError> {
        let mut begun = BEGUN.write().unwrap_or_else(PoisonError::into_inner);
        let module = MODULES.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.module);
        if let Some(module) = module {
            *begun += 1;
            module.finalize().map_err(|error| self.wrong(error.to_string()))?;
        }
        Ok(())
    }

    fn module(&self) -> Result<Pkcs11, TokenError> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&self.module) {
            return Ok(module.clone());
        }
        let failed = |error: Error| self.wrong(format!("{}: {error}", self.module.display()));
        let module = Pkcs11::new(&self.module).map_err(failed)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(error)),
        }
        modules.insert(self.module.clone(), module.clone());
        Ok(module)
    }

    fn pin(&self) -> Result<String, TokenError> {
        match &self.pin_source {
            Some(path) => {
                let text = read_secret(path).map_err(|error| TokenError::Pin(Box::new(error)))?;
                Ok(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            None => std::env::var(PIN).map_err(|_| self.wrong(format!("name a pin-source, or set {PIN}"))),
        }
    }

    fn find(&self, session: &Session, class: ObjectClass) -> Result<ObjectHandle, TokenError> {
        let mut template = vec![Attribute::Class(class)];
        template.extend(self.object.iter().map(|label| Attribute::Label(label.clone().into_bytes())));
        template.extend(self.id.iter().map(|id| Attribute::Id(id.clone())));
        let found = session.find_objects(&template).map_err(|error| self.wrong(error.to_string()))?;
        match found[..] {
            [one] => Ok(one),
            [] => Err(self.wrong(format!("it has no such {class}"))),
            _ => Err(self.wrong(format!("it has {} such {class} objects: name the id too", found.len()))),
        }
    }

    fn public(&self, session: &Session) -> Result<PublicKey, TokenError> {
        let object = self.find(session, ObjectClass::PUBLIC_KEY)?;
        let attributes = session
            .get_attributes(object, &[AttributeType::KeyType, AttributeType::EcPoint])
            .map_err(|error| self.wrong(error.to_string()))?;
        let (mut of, mut point) = (None, Vec::new());
        for attribute in attributes {
            match attribute {
                Attribute::KeyType(key_type) => of = Some(key_type),
                Attribute::EcPoint(bytes) => point = bytes,
                _ => {}
            }
        }
        // an OCTET STRING around the point, or the point itself
        let point = match &point[..] {
            [4, length, rest @ ..] if rest.len() == usize::from(*length) => rest,
            bare => bare,
        };
        let key = match (of, point) {
            (Some(KeyType::EC_EDWARDS), point) => {
                let bytes = point.try_into().map_err(|_| self.wrong("its key is not Ed25519"))?;
                PublicKey::from_ed25519(bytes)
            }
            (Some(KeyType::EC), [4, xy @ ..]) if xy.len() == 64 => {
                let (x, y) = xy.split_at(32);
                let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
                PublicKey::from_jwk(&json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)}))
            }
            _ => return Err(self.wrong("its key is neither Ed25519 nor P-256")),
        };
        key.map_err(|error| self.wrong(error.to_string()))
    }

    fn wrong(&self, why: impl Into<String>) -> TokenError {
        TokenError::Token { uri: self.text.clone(), why: why.into() }
    }
}

impl Open {
    fn session(&self) -> Result<&Session, String> {
        self.session.as_ref().ok_or_else(|| "the session is closed".to_owned())
    }

    fn sign(&self, suite: Suite, message: &[u8]) -> Result<Vec<u8>, String> {
        let session = self.session()?;
        let signed = match suite {
            Suite::EdDsa => {
                let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
                session.sign(&mechanism, self.key, message)
            }
            Suite::Es256 => session.sign(&Mechanism::Ecdsa, self.key, digest(&SHA256, message).as_ref()),
            Suite::Sm2 => return Err("SM2 keys are not taken from tokens".to_owned()),
        };
        signed.map_err(|error| error.to_string())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let begun = BEGUN.read().unwrap_or_else(PoisonError::into_inner);
        let session = self.session.take().filter(|_| self.begun != *begun);
        // closing one of before would close whichever has its number now
        std::mem::forget(session);
    }
}

impl FromStr for TokenUri {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let refuse = |why| TokenError::Uri(text.split("pin-value").next().unwrap_or_default().to_owned(), why);
        let rest = text.strip_prefix("pkcs11:").ok_or_else(|| refuse("it does not begin so"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self { text: text.to_owned(), ..Self::default() };
        for attribute in path.split(';').chain(query.split('&')).filter(|attribute| !attribute.is_empty()) {
            let (name, value) = attribute.split_once('=').ok_or_else(|| refuse("an attribute without a value"))?;
            let bytes = percent_decoded(value).ok_or_else(|| refuse("a % without two hexadecimal digits"))?;
            let word = || String::from_utf8(bytes.clone()).map_err(|_| refuse("a value that is not UTF-8"));
            match name {
                "token" => uri.token = Some(word()?),
                "serial" => uri.serial = Some(word()?),
                "object" => uri.object = Some(word()?),
                "id" => uri.id = Some(bytes),
                "type" => {}
                "module-path" => uri.module = word()?.into(),
                "pin-source" => uri.pin_source = Some(word()?.trim_start_matches("file:").into()),
                "pin-value" => {
                    return Err(refuse("a PIN does not belong here: name a file of mode 0600 as pin-source"));
                }
                _ => return Err(refuse("an attribute that is not known here")),
            }
        }
        if uri.module.as_os_str().is_empty() {
            return Err(refuse("module-path is missing"));
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(refuse("object or id is missing"));
        }
        Ok(uri)
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for TokenUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_module_token_key_and_where_the_pin_is() {
        let uri: TokenUri =
            "pkcs11:token=my%20token;object=sign;id=%01%ff?module-path=/lib/x.so&pin-source=file:/run/pin"
                .parse()
                .unwrap();
        assert_eq!((uri.token.as_deref(), uri.object.as_deref()), (Some("my token"), Some("sign")));
        assert_eq!((uri.id, uri.module), (Some(vec![1, 255]), "/lib/x.so".into()));
        assert_eq!(uri.pin_source, Some("/run/pin".into()));
        for bad in [
            "token=x",
            "pkcs11:object=x",
            "pkcs11:token=x?module-path=/x",
            "pkcs11:object=%4?module-path=/x",
            "pkcs11:object=x;colour=red?module-path=/x",
            "pkcs11:object=x?module-path=/x&pin-value=1234",
        ] {
            let error = bad.parse::<TokenUri>().unwrap_err().to_string();
            assert!(!error.contains("1234"), "{error}");
        }
    }
}
