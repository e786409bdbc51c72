//! Libraries compiled from `fixtures/echo.c`, and a loader to open them with.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use reld_loader::{Library, LoadError, Loader, OpenRequest, Refusal};
use tempfile::TempDir;

/// Longer than any load takes, even under valgrind on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Built once; each test that opens it gets an image of its own.
static VALID: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("echo.so");
    compile(&library, &["-Wl,--build-id"]);
    library
});

/// A folder with libraries, and a loader of its own.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) loader: Loader,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let loader = Loader::start(&folder.path().join("run"), || {}).unwrap();
        Self { folder, loader }
    }

    /// Builds echo.c with these compiler flags.
    pub(crate) fn build(&self, flags: &[&str]) -> PathBuf {
        let library = self.folder.path().join("echo.so");
        compile(&library, &[&["-Wl,--build-id"], flags].concat());
        library
    }

    pub(crate) fn open(&self, library: &Path) -> Result<Library, LoadError> {
        self.loader.open(request(library), DEADLINE)
    }

    /// Waits until no library is mapped.
    #[track_caller]
    pub(crate) fn emptied(&self) {
        let began = Instant::now();
        while !self.loader.residents().is_empty() {
            assert!(began.elapsed() < DEADLINE, "{:?}", self.loader.residents());
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Opens a valid echo library.
    pub(crate) fn echo(&self) -> Library {
        self.open(&VALID).unwrap()
    }

    /// Builds an echo library of the app with that name, and opens it.
    pub(crate) fn named(&self, app: &str, flags: &[&str]) -> Library {
        let library = self.build(&[&[format!("-DNAME={app:?}").as_str()], flags].concat());
        let request = OpenRequest { app: app.to_owned(), ..request(&library) };
        self.loader.open(request, DEADLINE).unwrap()
    }

    /// Builds an echo library that writes a letter into the bench's `marks` for each cleanup, and
    /// opens it.
    pub(crate) fn marking(&self, flags: &[&str]) -> Library {
        let marks = format!("-DMARKS={:?}", self.folder.path().join("marks"));
        self.open(&self.build(&[&[marks.as_str()], flags].concat())).unwrap()
    }

    /// Returns a letter for each cleanup by a library of [`Bench::marking`].
    pub(crate) fn marks(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("marks")).unwrap_or_default()
    }

    /// Builds echo.c with these flags and returns why it was not loaded.
    pub(crate) fn refusal(&self, flags: &[&str]) -> Refusal {
        let library = self.build(flags);
        let error = self.open(&library).expect_err("the library is invalid");
        assert_eq!(error.path, library, "the error names the requested file");
        error.refusal
    }
}

/// The request for a valid echo library.
pub(crate) fn request(source: &Path) -> OpenRequest {
    OpenRequest { source: source.to_owned(), sha256: None, app: "echo".into(), version: "0.1.0".into() }
}

/// Compiles echo.c into a new file and renames it to `library`, like an installer, which never
/// writes in place.
///
/// With RELD_ASAN in the environment the library is built with AddressSanitizer. Its runtime is
/// preloaded into this program, see CONTRIBUTING.md; if it were linked into the library, the loader
/// would refuse it as one more needed library.
pub(crate) fn compile(library: &Path, flags: &[&str]) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = library.with_extension("new");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-D_XOPEN_SOURCE=700", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-fPIC", "-g"]);
    cc.arg("-I").arg(package.join("../abi")).args(flags);
    let source = package.join("tests/fixtures/echo.c");
    if std::env::var_os("RELD_ASAN").is_some() {
        let object = library.with_extension("o");
        run(cc.args(["-fsanitize=address", "-c", "-o"]).arg(&object).arg(source));
        run(Command::new("cc").args(["-shared", "-o"]).arg(&fresh).arg(object).args(flags));
    } else {
        run(cc.args(["-shared", "-o"]).arg(&fresh).arg(source));
    }
    std::fs::rename(fresh, library).unwrap();
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a program with one argument.
pub(crate) fn run_with(program: &str, argument: impl AsRef<OsStr>) {
    run(Command::new(program).arg(argument));
}
