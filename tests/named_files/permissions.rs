//! Which users and modes are accepted.

use nix::libc;
use ringway::{OpenError, OpenOptions, Sharing};

use crate::common::{directory, in_child};
use crate::{create, mode_of, open, open_or_create, passes, set_mode, small};

#[test]
fn the_mode_is_what_was_said_whatever_the_umask() {
    in_child("permissions::the_mode_is_what_was_said_whatever_the_umask", || {
        let dir = directory();
        for umask in [0o000, 0o022, 0o077] {
            // SAFETY: it takes no pointers; this process exists only for this.
            unsafe { libc::umask(umask) };
            for (sharing, mode) in
                [(Sharing::Owner, 0o600), (Sharing::Group, 0o660), (Sharing::Everybody, 0o666)]
            {
                let path = dir.path().join("queue");
                let options = small().sharing(sharing);
                drop(create(&path, &options).unwrap());
                assert_eq!(mode_of(&path), mode, "{sharing:?}, umask {umask:o}");
                passes(&open(&path, &OpenOptions::new().sharing(sharing)).unwrap());
                ringway::unlink(&path).unwrap();
            }
        }
    });
}

#[test]
fn what_others_can_write_to_is_refused_unless_it_is_meant_so() {
    let dir = directory();
    let path = dir.path().join("queue");
    drop(create(&path, &small()).unwrap());
    let bytes = std::fs::read(&path).unwrap();
    for (mode, least) in [
        (0o600, Sharing::Owner),
        (0o644, Sharing::Owner),
        (0o660, Sharing::Group),
        (0o664, Sharing::Group),
        (0o666, Sharing::Everybody),
        (0o602, Sharing::Everybody),
    ] {
        set_mode(&path, mode);
        for (rank, sharing) in [Sharing::Owner, Sharing::Group, Sharing::Everybody].into_iter().enumerate() {
            let is_enough = rank >= least as usize;
            match open(&path, &OpenOptions::new().sharing(sharing)) {
                Ok(_) => assert!(is_enough, "{mode:o} with {sharing:?}"),
                Err(error) => {
                    assert!(!is_enough, "{mode:o} with {sharing:?}: {error}");
                    assert!(matches!(error, OpenError::WrongOwnerOrMode { .. }), "{error:?}");
                    let message = error.to_string();
                    for part in
                        [path.to_str().unwrap(), &format!("{mode:o}"), "OpenOptions::sharing", "trusted"]
                    {
                        assert!(message.contains(part), "no `{part}`: {message}");
                    }
                }
            }
        }
    }
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "a file that is refused is not changed");
    // A user that may remove the file may unlink it, whichever user owns it.
    set_mode(&path, 0o666);
    assert!(!ringway::is_in_use(&path).unwrap());
    ringway::unlink(&path).unwrap();
}

#[test]
fn a_file_of_another_user_is_refused() {
    let output = in_child("permissions::a_file_of_another_user_is_refused", || {
        let dir = directory();
        set_mode(dir.path(), 0o777);
        let path = dir.path().join("queue");
        drop(create(&path, &small()).unwrap());
        // The classic attack: the file is there, created by another user, and a user with more
        // rights opens it.
        if nix::unistd::chown(&path, Some(65534.into()), None).is_err() {
            println!("skipped: this is not root, who could give a file away");
            return;
        }
        let error = open(&path, &OpenOptions::new()).unwrap_err();
        assert!(matches!(error, OpenError::WrongOwnerOrMode { owner: 65534, own: 0, .. }), "{error:?}");
        assert!(error.to_string().contains("one of user 65534"), "{error}");
        assert!(matches!(open_or_create(&path), Err(OpenError::WrongOwnerOrMode { .. })));
        // The file's group is root's: it may be meant for that.
        set_mode(&path, 0o660);
        passes(&open(&path, &OpenOptions::new().sharing(Sharing::Group)).unwrap());
        nix::unistd::chown(&path, None, Some(65534.into())).unwrap();
        let result = open(&path, &OpenOptions::new().sharing(Sharing::Group));
        assert!(matches!(result, Err(OpenError::WrongOwnerOrMode { .. })), "a group that is none of ours");
        passes(&open(&path, &OpenOptions::new().sharing(Sharing::Everybody)).unwrap());
        println!("looked at all of them");
    });
    if let Some(output) = output {
        assert!(output.contains("looked at all") || output.contains("skipped: "), "{output}");
    }
}
