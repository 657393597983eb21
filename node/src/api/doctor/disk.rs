//! Whether the disk takes writes, and for how long it will.

use super::Check;
use crate::daemon::Daemon;
use crate::driver::DriverStatus;
use crate::floor::Space;

pub(super) fn check(daemon: &Daemon, driver: &DriverStatus) -> Check {
    let floor = daemon.config.store.free_bytes_min;
    let space = Space::at(&daemon.config.dir).ok();
    let free = space.map_or(0, |space| space.free >> 20);
    if space.is_some_and(|space| space.free < floor) {
        let floor = floor >> 20;
        return Check::bad(
            "disk",
            "error",
            (
                format!("磁盘只剩 {free} MiB，须保留 {floor} MiB：不再写入或接收，读取照常"),
                format!(
                    "the disk has {free} MiB left and {floor} MiB are kept free: nothing is written or received, reading goes on"
                ),
            ),
            (
                "清理磁盘空间或把目录移到更大的磁盘；有空间后节点会自行继续",
                "free space or move the folder to a larger disk; the node goes on by itself",
            ),
        );
    }
    if driver.engine.storage_failing {
        return Check::bad(
            "disk",
            "error",
            ("磁盘拒绝写入收到的数据".into(), "the disk refuses what peers send".into()),
            (
                "清理磁盘空间或检查挂载；恢复后节点会自行继续",
                "free space or check the mount; the node goes on by itself",
            ),
        );
    }
    if space.is_some_and(Space::is_short) {
        let short = Check::bad(
            "disk",
            "warning",
            (
                format!("磁盘可写，但只剩 {free} MiB"),
                format!("the disk takes writes, but has only {free} MiB left"),
            ),
            (
                "尽快清理磁盘空间，或把目录移到更大的磁盘",
                "free space soon, or move the folder to a larger disk",
            ),
        );
        // Nothing has failed yet.
        return Check { ok: true, ..short };
    }
    Check::good(
        "disk",
        format!("磁盘可写，剩余 {free} MiB"),
        format!("the disk takes writes, {free} MiB are left"),
    )
}
