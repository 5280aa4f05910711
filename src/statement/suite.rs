//! The three signature suites behind josekit's `JwsSigner` and `JwsVerifier`.

/// A signature suite; its `alg` in JOSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `EdDSA` on Ed25519: signed by aws-lc-rs, verified by ed25519-dalek.
    EdDsa,
    /// `ES256` on P-256: aws-lc-rs.
    Es256,
    /// `SGD_SM3_SM2` on SM2-P-256 (GM/T 0125): RustCrypto, signer id `1234567812345678`, signature r‖s.
    Sm2,
}

impl Suite {
    /// The JOSE `alg`.
    pub fn alg(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Sm2 => "SGD_SM3_SM2",
        }
    }
}
