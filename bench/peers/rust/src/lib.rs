//! Weir's four header decisions on the Rust SDK, for the benchmark's request:
//! the same writes, the same leases from a shared bucket. It reads header by header,
//! as the SDK's examples do, or with the feature `whole-map` all at once, as Weir does.
//! Its settings are constants, which favours it: nothing is looked up by host.
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MapType};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::UNIX_EPOCH;
use xxhash_rust::xxh64::xxh64;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Error);
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root::new()) });
}}

const CLAIMED: [&str; 5] =
    ["x-weir-variant", "x-weir-tenant", "x-weir-tier", "x-shadow-mode", "x-traffic-tag"];

/// A token bucket: what this worker has leased, and the rate of the shared one.
struct Bucket {
    name: &'static str,
    interval_ns: u64,
    window_ns: u64,
    tokens: u64,
}

impl Bucket {
    fn new(name: &'static str, rate: u64, burst: u64) -> Self {
        let interval_ns = 1_000_000_000 / rate;
        Bucket { name, interval_ns, window_ns: interval_ns * burst, tokens: 0 }
    }

    fn admit(&mut self) -> bool {
        if self.tokens == 0 {
            self.tokens = self.lease();
        }
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        true
    }

    /// An eighth of what the bucket in shared data holds, by compare and set.
    fn lease(&self) -> u64 {
        let now = hostcalls::get_current_time()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_nanos() as u64);
        for _ in 0..8 {
            let (value, cas) = hostcalls::get_shared_data(self.name).unwrap_or((None, None));
            let known = value.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
            let arrival = known.clamp(now, now + self.window_ns);
            let there = (now + self.window_ns - arrival) / self.interval_ns;
            if there == 0 {
                return 0;
            }
            let take = (there / 8).max(1);
            let next = (arrival + take * self.interval_ns).to_le_bytes();
            if hostcalls::set_shared_data(self.name, Some(&next), cas.or(Some(u32::MAX))).is_ok() {
                return take;
            }
        }
        0
    }
}

struct Root {
    policy: Rc<Policy>,
}

struct Policy {
    tenants: HashMap<&'static [u8], RefCell<Bucket>>,
    others: RefCell<Bucket>,
}

impl Root {
    fn new() -> Self {
        let gold = RefCell::new(Bucket::new("peer.acme", 1_000_000, 1_000_000));
        let others = RefCell::new(Bucket::new("peer.others", 5, 10));
        let tenants = HashMap::from([(b"acme".as_slice(), gold)]);
        Root { policy: Rc::new(Policy { tenants, others }) }
    }
}

impl Context for Root {}
impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { policy: self.policy.clone() }))
    }
}

struct Stream {
    policy: Rc<Policy>,
}

/// The request's headers: all of them, or none and each is asked for.
struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    fn read() -> Option<Self> {
        if cfg!(feature = "whole-map") {
            hostcalls::get_map_bytes(MapType::HttpRequestHeaders).ok().map(Headers)
        } else {
            Some(Headers(Vec::new()))
        }
    }

    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if cfg!(feature = "whole-map") {
            self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice().into())
        } else {
            hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name)
                .ok()
                .flatten()
                .map(Cow::from)
        }
    }
}

fn bucket_of(key: &[u8], seed: u64) -> u64 {
    ((xxh64(key, seed) >> 32) * 10_000) >> 32
}

impl Context for Stream {}
impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(headers) = Headers::read() else {
            return Action::Continue;
        };
        let name = headers.value("x-tenant-id");
        let tenant = name.as_deref().and_then(|name| self.policy.tenants.get(name));
        if !tenant.unwrap_or(&self.policy.others).borrow_mut().admit() {
            self.send_http_response(429, vec![("retry-after", "1")], Some(b"rate limited"));
            return Action::Pause;
        }
        for name in CLAIMED {
            if name != "x-weir-variant" && headers.value(name).is_some() {
                self.set_http_request_header(name, None);
            }
        }
        let id = headers.value("x-request-id").unwrap_or_default();
        if bucket_of(&id, 1) < 100 {
            self.set_http_request_header("x-shadow-mode", Some("true"));
            self.set_http_request_header("x-traffic-tag", Some("bench"));
        }
        let key = headers.value("x-user-id").unwrap_or(id);
        let variant = if bucket_of(&key, 2) < 9_000 { "stable" } else { "canary" };
        self.set_http_request_header("x-weir-variant", Some(variant));
        if let Some(accepted) = headers.value("accept-encoding") {
            if may_compress(&headers) && accepts_gzip(&accepted) {
                if *accepted != *b"gzip" {
                    self.set_http_request_header("accept-encoding", Some("gzip"));
                }
            } else {
                self.set_http_request_header("accept-encoding", None);
            }
        }
        Action::Continue
    }
}

fn contains(value: Option<Cow<'_, [u8]>>, word: &str) -> bool {
    value.is_some_and(|value| {
        value.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    })
}

fn may_compress(headers: &Headers) -> bool {
    ["upgrade", ":protocol", "range", "cookie"].iter().all(|name| headers.value(name).is_none())
        && !matches!(headers.value(":method").as_deref(), Some(b"HEAD" | b"CONNECT"))
        && !contains(headers.value("content-type"), "application/grpc")
        && !contains(headers.value("accept"), "text/event-stream")
        && !contains(headers.value("cache-control"), "no-transform")
}

fn accepts_gzip(field: &[u8]) -> bool {
    field.split(|byte| *byte == b',').any(|member| {
        let mut parts = member.split(|byte| *byte == b';').map(|part| part.trim_ascii());
        parts.next() == Some(b"gzip") && parts.next().is_none_or(|q| !q.starts_with(b"q=0"))
    })
}
