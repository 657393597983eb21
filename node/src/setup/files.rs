//! Joining by files, for a node that reaches nobody: a request out, an answer in.
//!
//! Neither file is secret. The request proves that whoever wrote it has the key; that it is the right
//! machine's, and that the answer is the right federation's, people make sure of by comparing ids.

use super::{
    NodeReport, SetupError, clean_up, new_key, store_directory, stored_directory, write_config,
};
use crate::folder::Folder;
use crate::transport::advertised;
use fenbu_protocol::directory::{Directory, Signed};
use fenbu_protocol::id::NodeId;
use fenbu_protocol::seal;
use fenbu_protocol::wire::join::{self, FileRequest, JoinAnswer};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What an answer's file begins with.
const ANSWER_MAGIC: &[u8] = b"fenbu-admitted/1\n";
/// A longer file is another one: as the answer over a connection.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, Clone)]
pub struct RequestOptions {
    pub dir: PathBuf,
    /// A file that does not exist yet.
    pub file: PathBuf,
    /// The node's name; its unit's code if not given.
    pub name: Option<String>,
    pub listen: Option<SocketAddr>,
    pub advertise: Vec<String>,
}

/// Makes the folder of a node that asks to be let in, and writes its request. Returns the node's id.
pub fn request(options: &RequestOptions) -> Result<NodeId, SetupError> {
    let folder = Folder::create(&options.dir)?;
    let asked = ask(&folder, options);
    if asked.is_err() {
        clean_up(&folder);
    }
    asked
}

fn ask(folder: &Folder, options: &RequestOptions) -> Result<NodeId, SetupError> {
    let key = new_key();
    let config = write_config(folder, options.listen, &options.advertise)?;
    // None will do: a node that is never dialled meets others by dialling them, or by files.
    let addresses = advertised(&config, config.listen);
    let sealing = seal::sealing_public(&key);
    let request = FileRequest::sign(&key, sealing, options.name.clone(), addresses);
    folder.write_joining_key(&key)?;
    write_new(&options.file, format!("{}\n", request.to_text()).as_bytes())?;
    Ok(request.node)
}

/// An answer as a file: the whole directory, with the node in it.
pub fn answer_bytes(statements: Vec<Signed>) -> Vec<u8> {
    let answer = JoinAnswer { statements, refusal: None };
    // INVARIANT: encoding to memory cannot fail.
    let cbor = minicbor::to_vec(&answer).expect("encoding to memory");
    [ANSWER_MAGIC, &cbor].concat()
}

/// Writes a file that does not exist yet.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), SetupError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => SetupError::Exists(path.to_owned()),
        _ => SetupError::File { doing: "write", path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)
}

/// Takes the answer to a request that was made in this folder, which then is a node's.
pub fn complete(dir: &Path, file: &Path) -> Result<NodeReport, SetupError> {
    let (folder, key) = Folder::joining(dir)?;
    let node = NodeId(key.verifying_key().to_bytes());
    let directory = directory_in(file)?;
    let Some(info) = directory.node(&node).filter(|_| directory.is_member(&node)) else {
        return Err(SetupError::Answer("it does not admit this node".into()));
    };
    store_directory(&folder, directory.statements_after(0))?;
    folder.has_joined()?;
    Ok(NodeReport {
        federation: directory.federation(),
        federation_name: directory.name().to_owned(),
        node,
        unit: info.unit.clone(),
    })
}

fn directory_in(file: &Path) -> Result<Directory, SetupError> {
    let unusable = |why: String| SetupError::Answer(why);
    let io = |source| SetupError::File { doing: "read", path: file.to_owned(), source };
    if fs::metadata(file).map_err(io)?.len() > ANSWER_BYTES_MAX {
        return Err(unusable("it is no answer of `fenbu admit`".into()));
    }
    let bytes = fs::read(file).map_err(io)?;
    let cbor = bytes.strip_prefix(ANSWER_MAGIC);
    let cbor = cbor.ok_or_else(|| unusable("it is no answer of `fenbu admit`".into()))?;
    let answer: JoinAnswer = join::decode(cbor).map_err(|e| unusable(e.to_string()))?;
    let chain: Vec<_> = (1..).zip(answer.statements.iter().map(Signed::to_wire)).collect();
    stored_directory(&chain).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::FolderError;

    #[test]
    fn a_folder_that_waits_is_no_node_yet() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, file) = (temp.path().join("n"), temp.path().join("request"));
        let options = RequestOptions {
            dir: dir.clone(),
            file: file.clone(),
            name: None,
            listen: Some("127.0.0.1:4433".parse().unwrap()),
            advertise: Vec::new(),
        };
        let node = request(&options).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(FileRequest::from_text(&text).unwrap().node, node);
        assert!(matches!(Folder::open(&dir), Err(FolderError::Joining(_))));
        assert!(matches!(request(&options), Err(SetupError::Folder(FolderError::NotEmpty(_)))));

        // An answer to somebody else, and what is no answer.
        let directory = crate::testing::directory();
        let other = temp.path().join("other");
        write_new(&other, &answer_bytes(directory.statements_after(0).to_vec())).unwrap();
        assert!(matches!(write_new(&other, b""), Err(SetupError::Exists(_))));
        for wrong in [&other, &file] {
            let refused = complete(&dir, wrong).unwrap_err();
            assert!(matches!(refused, SetupError::Answer(_)), "{refused}");
        }
        assert!(matches!(complete(&dir, &temp.path().join("none")), Err(SetupError::File { .. })));
        assert!(matches!(Folder::open(&dir), Err(FolderError::Joining(_))), "it still waits");

        // A request that cannot be written leaves no folder.
        let again = RequestOptions { dir: temp.path().join("m"), ..options };
        assert!(matches!(request(&again), Err(SetupError::Exists(_))));
        assert!(!again.dir.exists());
    }
}
