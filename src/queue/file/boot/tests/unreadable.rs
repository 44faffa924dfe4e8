//! Participants that cannot read the boot id.

use super::*;

/// A participant that cannot read the boot id attaches among others that can. Then all of them are killed.
fn an_unreadable_boot_id_puts_nothing_in_doubt<K: Kind>() {
    let place = Place::new();
    let queue = create::<K>(&place.path());
    let mut producer = queue.producer().unwrap();
    producer.send(b"one").unwrap();
    pretend::hide_boot();
    let consumer = queue.consumer().unwrap();
    assert!(matches!(queue.warnings()[..], [Warning::UnknownBoot { .. }]), "{:?}", queue.warnings());
    pretend::set_boot(1);
    let image = place.image(|_| {});
    assert_eq!(survival(&image).0, Survival::InUse);
    assert_eq!(drain(&open::<K>(&image, AfterPowerLoss::Refuse).unwrap()), [b"one"]);
    // The machine went down instead: the file is unproven.
    let image = place.image(|_| {});
    pretend::set_boot(2);
    let refused = open::<K>(&image, AfterPowerLoss::Refuse).unwrap_err();
    assert!(matches!(refused, OpenError::Unproven { found: Unproven::InUse, .. }), "{refused:?}");
    drop((producer, consumer));
}

#[test]
fn an_unreadable_boot_id_puts_nothing_in_doubt_spsc() {
    an_unreadable_boot_id_puts_nothing_in_doubt::<Spsc>();
}

#[test]
fn an_unreadable_boot_id_puts_nothing_in_doubt_mpmc() {
    an_unreadable_boot_id_puts_nothing_in_doubt::<Mpmc>();
}

/// A participant that cannot read the boot id breaks a seal as every other does, in a file of this
/// boot, of another one, and in one that was never used.
#[test]
fn an_unreadable_boot_id_breaks_seals() {
    let place = Place::new();
    let queue = create::<Spsc>(&place.path());
    let unused = place.image(|_| {});
    pretend::hide_boot();
    let producer = open::<Spsc>(&unused, AfterPowerLoss::Refuse).unwrap().producer().unwrap();
    for boot in [1, 2] {
        pretend::set_boot(boot);
        assert_eq!(survival(&unused).0, Survival::InUse, "it has a participant");
        let killed = place.0.path().join("killed");
        std::fs::copy(&unused, &killed).unwrap();
        assert!(
            open::<Spsc>(&killed, AfterPowerLoss::Refuse).is_err(),
            "in which boot it was used is unknown"
        );
    }
    drop(producer);

    pretend::set_boot(1);
    queue.producer().unwrap().send(b"one").unwrap();
    let sealed = place.image(|_| {});
    for boot in [1, 2] {
        pretend::set_boot(boot);
        assert!(matches!(survival(&sealed).0, Survival::Sealed | Survival::Proven));
        pretend::hide_boot();
        let flushes = pretend::flushes();
        let producer = open::<Spsc>(&sealed, AfterPowerLoss::Refuse).unwrap().producer().unwrap();
        assert_eq!(pretend::flushes() - flushes, 1);
        let killed = place.0.path().join("killed");
        std::fs::copy(&sealed, &killed).unwrap();
        pretend::set_boot(boot + 1);
        let refused = open::<Spsc>(&killed, AfterPowerLoss::Refuse).unwrap_err();
        assert!(matches!(refused, OpenError::Unproven { found: Unproven::InUse, .. }), "{refused:?}");
        drop(producer);
    }
}
