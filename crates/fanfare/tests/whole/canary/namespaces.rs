//! Two network namespaces joined by one cable and nothing else. They go when the value goes.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

/// The first namespace's end of the cable: an address of its own, and therefore forbidden.
pub(crate) const HERE: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 1);
/// The second namespace's end: a public address as far as anyone there can tell.
pub(crate) const CONTROL: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 2);

/// What stands on `lo` of the first namespace beside 127.0.0.1 and ::1.
const FORBIDDEN: [&str; 19] = [
    "10.0.0.1/32",
    "10.9.9.8/32",
    "10.9.9.9/32",
    "172.16.0.1/32",
    "192.168.0.1/32",
    "100.64.0.1/32",
    "100.100.100.200/32",
    "169.254.169.254/32",
    "169.254.170.2/32",
    "192.0.0.192/32",
    "192.0.2.1/32",
    "198.18.0.1/32",
    "203.0.113.1/32",
    "168.63.129.16/32",
    "fd00:ec2::254/128",
    "fec0::1/128",
    "64:ff9b::7f00:1/128",
    "2002:7f00:1::/128",
    "3fff::1/128",
];

pub(crate) struct Namespaces {
    here: String,
    control: String,
}

impl Namespaces {
    /// `None` where this machine does not let us make any.
    pub(crate) fn make() -> Option<Namespaces> {
        let id = std::process::id();
        let made = Namespaces { here: format!("fanfare-here-{id}"), control: format!("fanfare-control-{id}") };
        if !ip(&["netns", "add", &made.here]) || !ip(&["netns", "add", &made.control]) {
            return None;
        }
        let (cable, far_end) = (format!("ff{id}a"), format!("ff{id}b"));
        let steps: [&[&str]; 7] = [
            &[
                "link",
                "add",
                &cable,
                "netns",
                &made.here,
                "type",
                "veth",
                "peer",
                "name",
                &far_end,
                "netns",
                &made.control,
            ],
            &["-n", &made.here, "link", "set", "lo", "up"],
            &["-n", &made.control, "link", "set", "lo", "up"],
            &["-n", &made.here, "addr", "add", &format!("{HERE}/24"), "dev", &cable],
            &["-n", &made.control, "addr", "add", &format!("{CONTROL}/24"), "dev", &far_end],
            &["-n", &made.here, "link", "set", &cable, "up"],
            &["-n", &made.control, "link", "set", &far_end, "up"],
        ];
        assert!(steps.iter().all(|step| ip(step)), "the namespaces can be joined");
        for address in FORBIDDEN {
            assert!(ip(&["-n", &made.here, "addr", "add", address, "dev", "lo"]), "{address} on lo");
        }
        // `ip netns exec` puts this file in the place of the system's.
        fs::create_dir_all(made.settings()).unwrap();
        fs::write(format!("{}/resolv.conf", made.settings()), format!("nameserver {CONTROL}\n")).unwrap();
        Some(made)
    }

    pub(crate) fn control(&self) -> &str {
        &self.control
    }

    pub(crate) fn command_here(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.here]).arg(program);
        command
    }

    fn settings(&self) -> String {
        format!("/etc/netns/{}", self.here)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.settings());
        ip(&["netns", "del", &self.here]);
        ip(&["netns", "del", &self.control]);
    }
}

/// Nothing that this test does wrong may reach the world.
pub(crate) fn assert_there_is_no_way_out() {
    for family in ["-4", "-6"] {
        let routes = Command::new("ip").args([family, "route", "show", "default"]).output().unwrap();
        assert!(routes.stdout.is_empty(), "{}", String::from_utf8_lossy(&routes.stdout));
    }
}

fn ip(arguments: &[&str]) -> bool {
    let quiet = Command::new("ip").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}
