import KubeCore
import Testing

@testable import KubeClient

/// The calls by name: what they send, and what they make of the API server's answers.
@Suite(.timeLimit(.minutes(1)))
struct ActionTests {
    /// Runs `body` against a server with one answer; gives the one request and its body.
    func sending(_ answer: Answer, _ body: (KubeClient) async throws -> Void) async throws -> (String, JSONValue) {
        var seen: SeenRequest?
        try await withClient { _, _ in
            answer
        } during: { client, server in
            try await body(client)
            #expect(server.seen.count == 1)
            seen = server.seen.first
        }
        let request = try #require(seen)
        return (request.line, request.body.isEmpty ? .null : try JSONValue.parse(request.body))
    }

    // MARK: Writes

    @Test func `an apply that conflicts tells who owns which field`() async throws {
        // As kube-apiserver 1.20 and newer answer.
        func cause(_ field: String, _ message: String) -> JSONValue {
            ["reason": "FieldManagerConflict", "field": .string(field), "message": .string(message)]
        }
        let scale = #"conflict with "kube-controller-manager" with subresource "scale" using apps/v1"#
        let answer: JSONValue = [
            "kind": "Status", "code": 409, "reason": "Conflict", "message": "Apply failed with 2 conflicts",
            "details": [
                "causes": [
                    cause(".spec.replicas", scale + " at 2026-01-31T12:00:00Z"),
                    cause(".data.key", #"conflict with "a \"b\"" using v1"#),
                ]
            ],
        ]
        let (line, _) = try await sending(.json(409, answer.serialized())) { client in
            let error = try await failure {
                _ = try await client.apply(
                    .deployments, KubeObject(.deployments, namespace: "shop", name: "a"), fieldManager: "x",
                    options: WriteOptions(isDryRun: true, fieldValidation: .strict))
            }
            #expect(
                error.fieldConflicts.map(\.description) == [
                    ".spec.replicas is owned by kube-controller-manager (through scale), since 2026-01-31T12:00:00Z",
                    #".data.key is owned by a "b""#,
                ])
            #expect(error.fieldConflicts.map(\.apiVersion) == ["apps/v1", "v1"])
        }
        #expect(line.hasSuffix("?dryRun=All&fieldManager=x&fieldValidation=Strict&force=false"))
    }

    @Test func `other conflicts and other errors have no owners`() {
        let cause = FieldError(path: "a", message: "conflict with \"x\"")
        #expect(APIError(code: 409, reason: "Conflict", message: "", causes: [cause]).fieldConflicts.count == 1)
        #expect(APIError(code: 422, reason: "Invalid", message: "", causes: [cause]).fieldConflicts.isEmpty)
        let other = FieldError(path: "a", message: "must be unique")
        #expect(APIError(code: 409, reason: "Conflict", message: "", causes: [other]).fieldConflicts.isEmpty)
    }

    @Test func `a delete carries its conditions`() async throws {
        let (line, body) = try await sending(.ok()) { client in
            try await client.delete(
                .pods, namespace: "shop", name: "a", uid: "7", resourceVersion: "9", propagation: "Foreground",
                gracePeriodSeconds: 0, options: WriteOptions(isDryRun: true))
        }
        #expect(line == "DELETE /api/v1/namespaces/shop/pods/a")
        #expect(
            body == [
                "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground",
                "gracePeriodSeconds": 0, "dryRun": ["All"], "preconditions": ["uid": "7", "resourceVersion": "9"],
            ])
    }

    // MARK: Pods and scale

    @Test(arguments: [
        (Answer.json(201, #"{"kind":"Status","status":"Success"}"#), EvictionOutcome.evicted),
        (.status(404, "NotFound"), .gone), (.status(409, "Conflict"), .gone),
        (
            .status(429, "TooManyRequests", headers: ["retry-after": "10"]),
            .blocked(message: "m", retryAfterSeconds: 10)
        ),
    ])
    func `an eviction has one of three outcomes`(_ answer: Answer, _ outcome: EvictionOutcome) async throws {
        let (line, body) = try await sending(answer) { client in
            let got = try await client.evict(namespace: "shop", pod: "a", uid: "7", gracePeriodSeconds: 5)
            #expect(got == outcome)
        }
        #expect(line == "POST /api/v1/namespaces/shop/pods/a/eviction")
        #expect(
            body == [
                "apiVersion": "policy/v1", "kind": "Eviction", "metadata": ["namespace": "shop", "name": "a"],
                "deleteOptions": ["preconditions": ["uid": "7"], "gracePeriodSeconds": 5],
            ])
    }

    @Test func `replicas are read and set through the scale`() async throws {
        let answer = Answer.ok(
            #"""
            {"kind":"Scale","metadata":{"resourceVersion":"5"},"spec":{"replicas":3},
             "status":{"replicas":2,"selector":"app=web"}}
            """#)
        _ = try await sending(answer) { client in
            let scale = try await client.scale(.deployments, namespace: "shop", name: "web")
            #expect(scale.desired == 3 && scale.current == 2 && scale.selector == "app=web")
        }
        let (line, body) = try await sending(answer) { client in
            try await client.setScale(
                .deployments, namespace: "shop", name: "web", replicas: 3, resourceVersion: "4")
        }
        #expect(line == "PATCH /apis/apps/v1/namespaces/shop/deployments/web/scale")
        #expect(body == ["spec": ["replicas": 3], "metadata": ["resourceVersion": "4"]])
    }

    // MARK: Tokens and reviews

    @Test func `a token is asked for with audience, lifetime and pod`() async throws {
        let answer = Answer.json(
            201, #"{"status":{"token":"secret","expirationTimestamp":"2030-01-01T00:00:00Z"}}"#)
        let (line, body) = try await sending(answer) { client in
            let token = try await client.requestToken(
                namespace: "shop", serviceAccount: "web", audiences: ["heddle"], expirationSeconds: 900,
                pod: (name: "a", uid: "7"))
            #expect(token.token == "secret" && KubeTime.format(token.expires) == "2030-01-01T00:00:00Z")
            #expect(!"\(token)".contains("secret"))
        }
        #expect(line == "POST /api/v1/namespaces/shop/serviceaccounts/web/token")
        #expect(
            body["spec"] == [
                "audiences": ["heddle"], "expirationSeconds": 900,
                "boundObjectRef": ["apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "7"],
            ])
    }

    @Test func `a token's review tells whose it is`() async throws {
        let answer = Answer.json(
            201,
            #"""
            {"status":{"authenticated":true,"audiences":["heddle"],"user":{"username":"system:serviceaccount:shop:web",
             "uid":"7","groups":["g"],"extra":{"authentication.kubernetes.io/pod-name":["a"]}}}}
            """#)
        let (_, body) = try await sending(answer) { client in
            let verdict = try await client.review(token: "t", audiences: ["heddle"])
            guard case .authenticated(let identity) = verdict else { throw failed }
            #expect(identity.username == "system:serviceaccount:shop:web" && identity.groups == ["g"])
            #expect(identity.extra == ["authentication.kubernetes.io/pod-name": ["a"]])
        }
        #expect(body["spec"] == ["token": "t", "audiences": ["heddle"]])
    }

    @Test(arguments: [
        (#"{"status":{"error":"expired"}}"#, "expired"), (#"{"status":{"authenticated":false}}"#, ""),
        (#"{"status":{"authenticated":true,"user":{"username":"u"}}}"#, "the token is not meant for heddle"),
        (
            #"{"status":{"authenticated":true,"user":{"username":"u"},"audiences":["other"]}}"#,
            "the token is not meant for heddle"
        ),
    ])
    func `a token that is not good for us is rejected`(_ answer: String, _ reason: String) async throws {
        _ = try await sending(.json(201, answer)) { client in
            let verdict = try await client.review(token: "t", audiences: ["heddle"])
            #expect(verdict == .rejected(reason: reason))
        }
    }

    @Test func `what one may do is asked with the resource's names`() async throws {
        let answer = Answer.json(201, #"{"status":{"allowed":true,"reason":"RBAC: allowed by X"}}"#)
        let question = AccessQuestion.resource(
            verb: "patch", .deployments, subresource: "status", namespace: "shop", name: "web")
        let attributes: JSONValue = [
            "verb": "patch", "group": "apps", "version": "v1", "resource": "deployments", "subresource": "status",
            "namespace": "shop", "name": "web",
        ]
        let (line, body) = try await sending(answer) { client in
            let access = try await client.reviewAccess(question)
            #expect(access.isAllowed && access.reason == "RBAC: allowed by X")
        }
        #expect(line == "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        #expect(body["spec"] == ["resourceAttributes": attributes])
        let (other, otherBody) = try await sending(.json(201, #"{"status":{}}"#)) { client in
            let access = try await client.reviewAccess(
                user: "jane", groups: ["g"], .path(verb: "get", "/metrics"))
            #expect(!access.isAllowed)
        }
        #expect(other == "POST /apis/authorization.k8s.io/v1/subjectaccessreviews")
        #expect(
            otherBody["spec"] == [
                "user": "jane", "groups": ["g"], "extra": [:],
                "nonResourceAttributes": ["verb": "get", "path": "/metrics"],
            ])
    }

    private var failed: APIError { APIError(code: -1, reason: "", message: "not authenticated") }

    // MARK: Logs

    @Test func `a log comes line by line, with its empty lines and without its last line's end`() async throws {
        let (chunks, sender) = AsyncStream<String>.makeStream()
        try await withClient { _, _ in
            .stream(chunks)
        } during: { client, server in
            var lines = try await client.logs(
                PodLogRequest(namespace: "shop", pod: "a", container: "web", follows: true, tailLines: 5)
            ).makeAsyncIterator()
            #expect(
                server.seen.first?.line
                    == "GET /api/v1/namespaces/shop/pods/a/log?container=web&follow=true&tailLines=5")
            sender.yield("one\n\ntw")
            #expect(try await lines.next() == "one")
            #expect(try await lines.next() == "")
            sender.yield("o\nlast")
            sender.finish()
            #expect(try await lines.next() == "two")
            #expect(try await lines.next() == "last")
            #expect(try await lines.next() == nil)
        }
    }

    @Test func `a line without an end comes in pieces, and nothing is lost`() async throws {
        let long = String(repeating: "x", count: 3 << 20)
        try await withClient { _, _ in
            .ok(long + "\nend\n")
        } during: { client, _ in
            var pieces: [String] = []
            for try await line in try await client.logs(PodLogRequest(namespace: "shop", pod: "a")) {
                pieces.append(line)
            }
            #expect(pieces.last == "end" && pieces.count >= 3)
            #expect(pieces.dropLast().joined() == long)
        }
    }

    @Test func `a log that is not there says why`() async throws {
        try await withClient { _, _ in
            .status(400, "BadRequest")
        } during: { client, _ in
            let error = try await failure { _ = try await client.logs(PodLogRequest(namespace: "shop", pod: "a")) }
            #expect(error.code == 400)
        }
    }
}
