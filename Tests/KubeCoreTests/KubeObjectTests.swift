import FoundationEssentials
import KubeCore
import Testing

struct KubeObjectTests {
    @Test func `emptied metadata goes away instead of becoming null`() {
        var object = KubeObject(.pods, namespace: "shop", name: "a")
        let bare = object
        object.labels = ["a": "1"]
        object.annotations = ["b": "2"]
        object.finalizers = ["f"]
        object.resourceVersion = "7"
        object.ownerReferences = [OwnerReference(apiVersion: "v1", kind: "Pod", name: "o", uid: "u")]
        #expect(object.labels == ["a": "1"] && object.finalizers == ["f"] && object.ownerReferences.first?.uid == "u")
        object.labels = [:]
        object.annotations = [:]
        object.finalizers = []
        object.resourceVersion = ""
        object.ownerReferences = []
        #expect(object == bare)
        object.namespace = ""
        #expect(object.json[path: "metadata"] == ["name": "a"])
    }

    @Test func `unknown fields are kept`() {
        var object = KubeObject(json: ["kind": "X", "extra": [1], "metadata": ["name": "a", "more": true]])
        object.name = "b"
        #expect(object.json == ["kind": "X", "extra": [1], "metadata": ["name": "b", "more": true]])
    }

    @Test(
        arguments: [
            (GroupVersionResource.pods, "shop", "a", "/api/v1/namespaces/shop/pods/a"),
            (.deployments, nil, nil, "/apis/apps/v1/deployments"), (.nodes, "ignored", "n", "/api/v1/nodes/n"),
            (.pods, "", nil, "/api/v1/pods"),
        ] as [(GroupVersionResource, String?, String?, String)])
    func `paths are the API's`(_ resource: GroupVersionResource, _ namespace: String?, _ name: String?, _ path: String)
    {
        #expect(resource.path(namespace: namespace, name: name) == path)
    }

    @Test func `an error survives the way as a Status`() {
        let error = APIError(
            code: 422, reason: "Invalid", message: "m", causes: [FieldError(path: "spec.x", message: "bad")],
            retryAfterSeconds: 3)
        #expect(APIError(status: error.status, httpCode: 422) == error)
        #expect(APIError(status: ["kind": "Status"], httpCode: 503).code == 503)
    }

    @Test func `a condition keeps its time until its status changes`() {
        var conditions: [Condition] = []
        let first = Date(timeIntervalSince1970: 1_800_000_000)
        conditions.set(Condition(type: "Ready", status: .false, reason: "Waiting", message: "a"), at: first)
        conditions.set(Condition(type: "Ready", status: .false, reason: "Failing", message: "b"), at: first + 60)
        #expect(
            conditions["Ready"]?.lastTransitionTime == "2027-01-15T08:00:00Z"
                && conditions["Ready"]?.reason == "Failing")
        conditions.set(Condition(type: "Ready", status: .true, reason: "Done", message: ""), at: first + 120)
        #expect(conditions["Ready"]?.lastTransitionTime == "2027-01-15T08:02:00Z" && conditions.count == 1)
    }
}

struct LabelSelectorTests {
    @Test(
        arguments: [
            ("", [:], true), ("app=web", ["app": "web"], true), ("app==web", ["app": "db"], false),
            ("app!=web", [:], true),
            ("app!=web", ["app": "web"], false), ("app", ["app": ""], true), ("!app", ["app": ""], false),
            ("!app", [:], true),
            ("tier in (a,b)", ["tier": "b"], true), ("tier in (a, b)", ["tier": "b"], true),
            ("tier in (a)", [:], false),
            ("tier notin (a,b)", ["tier": "c"], true), ("tier notin (a,b)", [:], true),
            ("tier notin (a)", ["tier": "a"], false),
            ("app=web,tier in (a,b),!old", ["app": "web", "tier": "a"], true),
            ("app = web , x", ["app": "web", "x": "1"], true),
            ("app=", ["app": ""], true), ("tier in ()", ["tier": ""], true), ("tier in (a,)", ["tier": ""], true),
            ("a.io/b=c", ["a.io/b": "c"], true),
        ] as [(String, [String: String], Bool)])
    func `queries select`(_ query: String, _ labels: [String: String], _ matches: Bool) throws {
        #expect(try LabelSelector(query: query).matches(labels) == matches)
    }

    @Test(arguments: [
        "a b", "a in", "a in b", "a within (b)", "=a", "a in (b", "!", "a=b=c", "a,,b", "a in (b) c", "! a b",
    ])
    func `what is not a selector is refused`(_ query: String) {
        #expect(throws: FieldError.self) { try LabelSelector(query: query) }
    }

    @Test func `an empty selector selects everything`() {
        #expect(LabelSelector().isEmpty && LabelSelector().matches(["a": "b"]) && LabelSelector().query.isEmpty)
    }

    @Test func `the query form says the same as the object form`() throws {
        let selector = LabelSelector(
            matchLabels: ["b": "2", "a": "1"],
            matchExpressions: [
                .init(key: "c", operator: .in, values: ["x", "y"]), .init(key: "d", operator: .notIn, values: ["z"]),
                .init(key: "e", operator: .exists), .init(key: "f", operator: .doesNotExist),
            ])
        #expect(selector.query == "a=1,b=2,c in (x,y),d notin (z),e,!f")
        let read = try LabelSelector(query: selector.query)
        for labels in [
            ["a": "1", "b": "2", "c": "x", "e": ""], ["a": "1", "b": "2", "c": "z", "e": ""],
            ["a": "1", "b": "2", "c": "y", "e": "", "d": "z"], ["a": "1", "b": "2", "c": "y", "e": "", "f": ""],
        ] {
            #expect(read.matches(labels) == selector.matches(labels))
        }
    }
}

struct KubeTimeTests {
    @Test(arguments: [
        ("2026-01-31T12:00:00Z", 1_769_860_800), ("2026-01-31T12:00:00.5Z", 1_769_860_800.5),
        ("2026-01-31T12:00:00.123456Z", 1_769_860_800.123), ("2026-01-31T14:00:00+02:00", 1_769_860_800),
    ])
    func `times are read`(_ text: String, _ seconds: Double) throws {
        let date = try #require(KubeTime.parse(text))
        #expect(abs(date.timeIntervalSince1970 - seconds) < 0.001)
    }

    @Test(arguments: ["", "yesterday", "2026-01-31", "2026-13-01T00:00:00Z", "12:00:00Z"])
    func `what is no time is nil`(_ text: String) {
        #expect(KubeTime.parse(text) == nil)
    }

    @Test func `times are written in both formats`() {
        let date = Date(timeIntervalSince1970: 1_769_860_800.25)
        #expect(KubeTime.format(date) == "2026-01-31T12:00:00Z")
        #expect(KubeTime.formatMicro(date) == "2026-01-31T12:00:00.250000Z")
    }

    @Test(arguments: [
        ("0", 0), ("0s", 0), ("300ms", 0.3), ("1m30s", 90), ("168h", 604_800), ("1.5h", 5400), ("1h0m5s", 3605),
        ("250us", 0.00025),
        ("250µs", 0.00025), ("250μs", 0.00025), ("1ns", 1e-9), ("-5s", -5), ("+5s", 5), (".5s", 0.5), ("5.s", 5),
    ])
    func `durations are read as Go reads them`(_ text: String, _ seconds: Double) throws {
        #expect(abs(try #require(GoDuration(text)).seconds - seconds) < 1e-12)
    }

    @Test(arguments: ["", "5", "s", "5 s", "5d", "1.2.3s", "５s", "--5s", "-", ".s", "1h30", "1e3s", "5S", "infs"])
    func `what Go refuses is refused`(_ text: String) {
        #expect(GoDuration(text) == nil)
    }

    @Test(arguments: [
        (0.0, "0s"), (0.3, "300ms"), (0.0005, "0.5ms"), (90, "1m30s"), (3600, "1h"), (5400, "1h30m"), (1.5, "1.5s"),
        (-5, "-5s"),
        (604_800, "168h"), (59.999, "59.999s"), (-90, "-1m30s"),
    ])
    func `durations are written short and read back`(_ seconds: Double, _ text: String) throws {
        let duration = GoDuration(seconds: seconds)
        #expect(duration.description == text)
        #expect(abs(try #require(GoDuration(text)).seconds - seconds) < 1e-9)
    }
}
