//! TLS 1.3 with raw Ed25519 public keys (RFC 7250) at both ends, and nothing else: no certificate
//! to expire, no older version, no 0-RTT, no resumption.
//!
//! A verifier accepts any well-formed key; a dialler then demands the one it meant to reach. Who
//! the key belongs to is the directory's business.

use std::sync::{Arc, OnceLock};

use ed25519_dalek::{SigningKey, VerifyingKey};
use fenbu_protocol::id::NodeId;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::{ALPN_JOIN, ALPN_PROBE, ALPN_SYNC};

/// The one crypto provider: ring, its TLS 1.3 suites only.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        Arc::new(provider)
    };
    PROVIDER.get_or_init(make).clone()
}

/// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410): these bytes, then the key.
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// PKCS #8 of an Ed25519 key (RFC 8410): these bytes, then the secret key.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The node a raw public key names. Only the one DER form is taken, and only a key on the curve
/// outside its small subgroup: with those, anybody could sign.
pub fn node_id(spki: &[u8]) -> Option<NodeId> {
    let key: [u8; 32] = spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?;
    let point = VerifyingKey::from_bytes(&key).ok()?;
    (!point.is_weak()).then_some(NodeId(key))
}

fn spki(node: NodeId) -> Vec<u8> {
    [&SPKI_PREFIX[..], &node.0].concat()
}

/// A node's key in the form rustls wants it.
fn certified(key: &SigningKey) -> Result<Arc<CertifiedKey>, Error> {
    let private = PrivatePkcs8KeyDer::from([&PKCS8_PREFIX[..], key.as_bytes()].concat());
    let signing = provider().key_provider.load_private_key(private.into())?;
    let public = CertificateDer::from(spki(NodeId(key.verifying_key().to_bytes())));
    Ok(Arc::new(CertifiedKey::new(vec![public], signing)))
}

/// What a listening node shows and demands.
pub(crate) fn server(key: &SigningKey) -> Result<rustls::ServerConfig, Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(AnyNode))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(key)?)));
    config.alpn_protocols = vec![ALPN_SYNC.into(), ALPN_JOIN.into(), ALPN_PROBE.into()];
    // Without tickets there is nothing to resume: every handshake proves both keys afresh.
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// What a dialler shows, and whom it demands.
///
/// # Errors
/// Only if the provider refuses the key, which it does for no Ed25519 key.
pub fn client(
    key: &SigningKey,
    alpn: &[u8],
    verifier: Arc<TheNode>,
) -> Result<rustls::ClientConfig, Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(
            key,
        )?)));
    config.alpn_protocols = vec![alpn.into()];
    config.resumption = rustls::client::Resumption::disabled();
    // Nodes are found by key, not by name.
    config.enable_sni = false;
    Ok(config)
}

fn check_key(presented: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<NodeId, Error> {
    if !rest.is_empty() {
        return Err(CertificateError::BadEncoding.into());
    }
    node_id(presented).ok_or(CertificateError::BadEncoding.into())
}

fn check_signature(
    message: &[u8],
    presented: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if signed.scheme != SignatureScheme::ED25519 {
        return Err(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    verify_tls13_signature_with_raw_key(
        message,
        &SubjectPublicKeyInfoDer::from(presented.as_ref()),
        signed,
        &provider().signature_verification_algorithms,
    )
}

/// What both verifiers have in common: their traits ask the same questions under two names.
macro_rules! raw_ed25519_over_tls13 {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("TLS 1.2 is not spoken here".into()))
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

/// Accepts whoever can prove an Ed25519 key.
#[derive(Debug)]
struct AnyNode;

impl ClientCertVerifier for AnyNode {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_key(end_entity, intermediates).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(message, cert, dss)
    }

    raw_ed25519_over_tls13!();
}

/// Accepts one node, or anyone when probing, and remembers who answered.
#[derive(Debug)]
pub struct TheNode {
    expected: Option<NodeId>,
    answered: OnceLock<NodeId>,
}

impl TheNode {
    /// `None` accepts whoever answers.
    pub fn new(expected: Option<NodeId>) -> Arc<Self> {
        Arc::new(Self { expected, answered: OnceLock::new() })
    }

    /// The node that proved its key, expected or not.
    pub fn answered(&self) -> Option<NodeId> {
        self.answered.get().copied()
    }
}

impl ServerCertVerifier for TheNode {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check_key(end_entity, intermediates).map(|_| ServerCertVerified::assertion())
    }

    /// The expected key is demanded here, after the signature, so that "another node answers"
    /// names a node that proved it is there.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = check_signature(message, cert, dss)?;
        let found = node_id(cert).ok_or(CertificateError::BadEncoding)?;
        let _ = self.answered.set(found);
        match self.expected {
            Some(expected) if expected != found => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(valid),
        }
    }

    raw_ed25519_over_tls13!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_form_of_a_sound_key_is_taken() {
        let node = NodeId(SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes());
        let good = spki(node);
        assert_eq!(node_id(&good), Some(node));
        assert_eq!(node_id(&good[..43]), None);
        assert_eq!(node_id(&[&good[..], &[0]].concat()), None);
        let mut other_algorithm = good.clone();
        other_algorithm[8] = 0x6e; // X25519
        assert_eq!(node_id(&other_algorithm), None);
        // The identity point: a signature under it verifies for anybody.
        let mut weak = [0; 32];
        weak[0] = 1;
        assert_eq!(node_id(&spki(NodeId(weak))), None);
        // Not a point on the curve.
        let off =
            (0..=255u8).map(|b| NodeId([b; 32])).find(|n| VerifyingKey::from_bytes(&n.0).is_err());
        assert_eq!(node_id(&spki(off.expect("half of all strings are off the curve"))), None);
    }

    #[test]
    fn the_provider_speaks_tls13_only() {
        let suites = &provider().cipher_suites;
        assert!(!suites.is_empty() && suites.iter().all(|s| s.tls13().is_some()));
    }
}
