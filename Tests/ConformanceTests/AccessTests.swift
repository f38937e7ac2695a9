import Foundation
import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Tokens {
        let cluster = Cluster.current

        private func account(_ ns: TestNamespace, _ name: String = "robot") async throws -> KubeObject {
            try await ns.create(.serviceAccounts, KubeObject(.serviceAccounts, name: name))
        }

        @Test func `a token is good for the audiences that it was made for`() async throws {
            try await cluster.withNamespace { ns in
                let account = try await account(ns)
                let issued = try await ns.client.requestToken(
                    namespace: ns.name, serviceAccount: "robot", audiences: ["heddle", "other"], expirationSeconds: 900)
                #expect(abs(issued.expires.timeIntervalSinceNow - 900) < 60)
                guard
                    case .authenticated(let identity) = try await ns.client.review(
                        token: issued.token, audiences: ["heddle", "unrelated"])
                else {
                    Issue.record("the token was rejected")
                    return
                }
                #expect(identity.username == "system:serviceaccount:\(ns.name):robot" && identity.uid == account.uid)
                #expect(
                    Set(identity.groups)
                        == ["system:serviceaccounts", "system:serviceaccounts:\(ns.name)", "system:authenticated"])
                #expect(identity.audiences == ["heddle"])
                for audiences in [["unrelated"], []] {
                    let verdict = try await ns.client.review(token: issued.token, audiences: audiences)
                    guard case .rejected = verdict else {
                        Issue.record("\(audiences): \(verdict)")
                        continue
                    }
                }
            }
        }

        @Test func `the claims say whose token it is, for whom and how long`() async throws {
            try await cluster.withNamespace { ns in
                let account = try await account(ns)
                let token = try await ns.client.requestToken(
                    namespace: ns.name, serviceAccount: "robot", audiences: ["heddle"], expirationSeconds: 600
                ).token
                let parts = token.split(separator: ".").map(String.init)
                #expect(parts.count == 3)
                var text = parts[1].replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
                while !text.count.isMultiple(of: 4) { text += "=" }
                let claims = try JSONValue.parse([UInt8](try #require(Data(base64Encoded: text))))
                #expect(
                    claims["sub"]?.string == "system:serviceaccount:\(ns.name):robot" && claims["aud"] == ["heddle"])
                let start = claims["iat"]?.int ?? 0
                let end = claims["exp"]?.int ?? 0
                #expect(end - start == 600 && claims["nbf"]?.int == start)
                let own = claims["kubernetes.io"]
                #expect(own?["namespace"]?.string == ns.name)
                #expect(own?[path: "serviceaccount", "uid"]?.string == account.uid)
            }
        }

        @Test func `a token lapses with its account, and with the pod that it is bound to`() async throws {
            try await cluster.withNamespace { ns in
                _ = try await account(ns)
                var object = Objects.pod("p")
                object.spec["serviceAccountName"] = "robot"
                object.spec["automountServiceAccountToken"] = false
                try await ns.awaitServiceAccount("robot")
                let pod = try await ns.create(.pods, object)
                let bound = try await ns.client.requestToken(
                    namespace: ns.name, serviceAccount: "robot", audiences: ["heddle"], pod: ("p", pod.uid))
                let free = try await ns.client.requestToken(
                    namespace: ns.name, serviceAccount: "robot", audiences: ["heddle"])
                func isGood(_ token: IssuedToken) async throws -> Bool {
                    guard case .authenticated = try await ns.client.review(token: token.token, audiences: ["heddle"])
                    else { return false }
                    return true
                }
                #expect(try await isGood(bound))
                #expect(try await isGood(free))
                try await ns.delete(.pods, "p")
                let hasLapsed = try await eventually(within: .seconds(30)) { try await !isGood(bound) }
                #expect(hasLapsed)
                #expect(try await isGood(free))
                try await ns.delete(.serviceAccounts, "robot")
                let isOver = try await eventually(within: .seconds(30)) { try await !isGood(free) }
                #expect(isOver)
            }
        }

        @Test func `a token of too short a life, or for nobody, is refused`() async throws {
            try await cluster.withNamespace { ns in
                _ = try await account(ns)
                let short = await refusal { () async throws(APIError) in
                    try await ns.client.requestToken(namespace: ns.name, serviceAccount: "robot", expirationSeconds: 60)
                }
                #expect(short.code == 422 && short.causes.first?.path == "spec.expirationSeconds", "\(short)")
                let nobody = await refusal { () async throws(APIError) in
                    try await ns.client.requestToken(namespace: ns.name, serviceAccount: "nobody")
                }
                #expect(nobody.isNotFound)
            }
        }

        private func review(_ token: String) -> APIRequest {
            APIRequest(
                .create, .tokenReviews,
                body: [
                    "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": ["token": .string(token)],
                ])
        }

        @Test(arguments: ["garbage", "a.b.c"])
        func `what is no token is not authenticated`(token: String) async throws {
            let answer = try await cluster.client.perform(review(token))
            #expect(answer[path: "status", "authenticated"]?.bool != true)
            #expect(try await cluster.http(.GET, "/api/v1/namespaces", token: token).code == 401)
        }

        @Test func `a review without a token is refused`() async throws {
            let error = await refusal { () async throws(APIError) in try await cluster.client.perform(review("")) }
            #expect(error.code == 400, "\(error)")
        }

        @Test func `a token of the server's audience opens the API`() async throws {
            try await cluster.withNamespace { ns in
                _ = try await account(ns)
                let token = try await ns.client.requestToken(namespace: ns.name, serviceAccount: "robot").token
                let answer = try await cluster.http(
                    .POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", token: token,
                    body: """
                        {"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview",
                         "spec":{"nonResourceAttributes":{"path":"/version","verb":"get"}}}
                        """)
                #expect(answer.code == 201 && answer.json[path: "status", "allowed"] == true)
                guard cluster.serves(.selfSubjectReview) else { return }
                let who = try await cluster.http(
                    .POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", token: token,
                    body: "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}")
                #expect(
                    who.json[path: "status", "userInfo", "username"]?.string
                        == "system:serviceaccount:\(ns.name):robot")
            }
        }
    }

    @Suite struct Access {
        let cluster = Cluster.current

        private func rbac(_ kind: String) -> GroupVersionResource {
            GroupVersionResource(
                group: "rbac.authorization.k8s.io", resource: kind.lowercased() + "s", kind: kind,
                isNamespaced: !kind.hasPrefix("Cluster"))
        }

        private func robot(_ ns: TestNamespace) -> JSONValue {
            ["kind": "ServiceAccount", "name": "robot", "namespace": .string(ns.name)]
        }

        private func bind(_ ns: TestNamespace, _ role: String, kind: String = "Role", to subject: JSONValue)
            async throws
        {
            var binding = KubeObject(rbac("RoleBinding"), name: "bind-\(role.filter { $0 != ":" })")
            binding.json["roleRef"] = [
                "apiGroup": "rbac.authorization.k8s.io", "kind": .string(kind), "name": .string(role),
            ]
            binding.json["subjects"] = [subject]
            try await ns.create(rbac("RoleBinding"), binding)
        }

        /// Whether the namespace's account `robot` may do something.
        private func may(
            _ ns: TestNamespace, _ verb: String, _ resource: String, group: String = "", name: String? = nil,
            subresource: String? = nil, in namespace: String? = nil
        ) async throws -> Bool {
            var attributes: JSONValue = [
                "verb": .string(verb), "resource": .string(resource), "group": .string(group),
                "namespace": .string(namespace ?? ns.name),
            ]
            if let name { attributes["name"] = .string(name) }
            if let subresource { attributes["subresource"] = .string(subresource) }
            let review = try await cluster.client.perform(
                APIRequest(
                    .create, .subjectAccessReviews,
                    body: [
                        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                        "spec": [
                            "user": .string("system:serviceaccount:\(ns.name):robot"),
                            "groups": [
                                "system:serviceaccounts", .string("system:serviceaccounts:\(ns.name)"),
                                "system:authenticated",
                            ], "resourceAttributes": attributes,
                        ],
                    ]))
            return review[path: "status", "allowed"]?.bool ?? false
        }

        @Test func `who is granted nothing may nothing, and is told what`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.serviceAccounts, KubeObject(.serviceAccounts, name: "robot"))
                #expect(try await may(ns, "get", "configmaps") == false)
                let token = try await ns.client.requestToken(namespace: ns.name, serviceAccount: "robot").token
                let answer = try await cluster.http(.GET, "/api/v1/namespaces/\(ns.name)/configmaps", token: token)
                #expect(answer.code == 403 && answer.json["reason"] == "Forbidden")
                #expect(
                    answer.json["message"]?.string
                        == "configmaps is forbidden: User \"system:serviceaccount:\(ns.name):robot\" cannot list resource"
                        + " \"configmaps\" in API group \"\" in the namespace \"\(ns.name)\"")
                let one = try await cluster.http(
                    .GET, "/apis/apps/v1/namespaces/\(ns.name)/deployments/x", token: token)
                #expect(
                    one.code == 403
                        && one.json["message"]?.string?.hasPrefix("deployments.apps \"x\" is forbidden") == true)
            }
        }

        @Test func `a role grants verbs on resources, subresources and names in its namespace`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.serviceAccounts, KubeObject(.serviceAccounts, name: "robot"))
                var role = KubeObject(rbac("Role"), name: "reader")
                role.json["rules"] = [
                    ["apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]],
                    ["apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"], "verbs": ["get"]],
                    ["apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["*"]],
                    ["apiGroups": ["*"], "resources": ["services"], "verbs": ["watch"]],
                ]
                try await ns.create(rbac("Role"), role)
                try await bind(ns, "reader", to: robot(ns))
                #expect(try await eventually { try await may(ns, "get", "configmaps") })
                #expect(try await may(ns, "list", "configmaps"))
                #expect(try await may(ns, "delete", "configmaps") == false)
                #expect(try await may(ns, "get", "configmaps", in: "default") == false)
                #expect(try await may(ns, "get", "secrets", name: "mine"))
                #expect(try await may(ns, "get", "secrets", name: "other") == false)
                #expect(try await may(ns, "get", "secrets") == false)
                #expect(try await may(ns, "update", "deployments", group: "apps", subresource: "scale"))
                #expect(try await may(ns, "update", "deployments", group: "apps") == false)
                #expect(try await may(ns, "watch", "services"))

                let token = try await ns.client.requestToken(namespace: ns.name, serviceAccount: "robot").token
                #expect(
                    try await cluster.http(.GET, "/api/v1/namespaces/\(ns.name)/configmaps", token: token).code == 200)
                #expect(try await cluster.http(.GET, "/api/v1/configmaps", token: token).code == 403)
                let post = try await cluster.http(
                    .POST, "/api/v1/namespaces/\(ns.name)/configmaps", token: token,
                    body: "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}")
                #expect(post.code == 403)
            }
        }

        @Test func `a cluster role is granted in one namespace by a role binding, to a group as well`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.serviceAccounts, KubeObject(.serviceAccounts, name: "robot"))
                let name = "conformance-\(ns.name)"
                var role = KubeObject(rbac("ClusterRole"), name: name)
                role.json["rules"] = [["apiGroups": ["*"], "resources": ["*"], "verbs": ["get"]]]
                _ = try await cluster.client.create(rbac("ClusterRole"), role)
                try await bind(
                    ns, name, kind: "ClusterRole",
                    to: [
                        "kind": "Group", "apiGroup": "rbac.authorization.k8s.io",
                        "name": .string("system:serviceaccounts:\(ns.name)"),
                    ])
                #expect(try await eventually { try await may(ns, "get", "pods") })
                #expect(try await may(ns, "get", "deployments", group: "apps", subresource: "status"))
                #expect(try await may(ns, "get", "pods", in: "default") == false)
                #expect(try await may(ns, "list", "pods") == false)
                try await cluster.client.delete(rbac("ClusterRole"), name: name)
                #expect(try await eventually { try await !may(ns, "get", "pods") })
            }
        }

        @Test func `an aggregated role has the rules of the roles that it selects`() async throws {
            guard cluster.serves(.controllers) else { return }
            try await cluster.withNamespace { ns in
                try await ns.create(.serviceAccounts, KubeObject(.serviceAccounts, name: "robot"))
                let name = "conformance-\(ns.name)"
                var whole = KubeObject(rbac("ClusterRole"), name: name)
                whole.json["aggregationRule"] = ["clusterRoleSelectors": [["matchLabels": ["part-of": .string(name)]]]]
                whole.json["rules"] = []
                _ = try await cluster.client.create(rbac("ClusterRole"), whole)
                var part = KubeObject(rbac("ClusterRole"), name: name + "-part")
                part.labels = ["part-of": name]
                part.json["rules"] = [["apiGroups": [""], "resources": ["pods"], "verbs": ["list"]]]
                _ = try await cluster.client.create(rbac("ClusterRole"), part)
                try await bind(ns, name, kind: "ClusterRole", to: robot(ns))
                #expect(try await eventually { try await may(ns, "list", "pods") })
                let rules = try await cluster.client.get(rbac("ClusterRole"), name: name).json["rules"]
                #expect(rules?.array?.count == 1 && rules?[0]?["resources"] == ["pods"])
                for name in [name, name + "-part"] { try await cluster.client.delete(rbac("ClusterRole"), name: name) }
            }
        }

        @Test func `an administrator may all, and may act as another`() async throws {
            try await cluster.withNamespace { ns in
                let own = try await cluster.client.perform(
                    APIRequest(
                        .create, .selfSubjectAccessReviews,
                        body: [
                            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                            "spec": ["resourceAttributes": ["verb": "delete", "resource": "nodes"]],
                        ]))
                #expect(own[path: "status", "allowed"] == true)
                let answer = try await cluster.http(
                    .GET, "/api/v1/namespaces/\(ns.name)/configmaps",
                    headers: ["Impersonate-User": "jane", "Impersonate-Group": "people"])
                #expect(answer.code == 403 && answer.json["message"]?.string?.contains("User \"jane\"") == true)
                let admin = try await cluster.http(
                    .GET, "/api/v1/namespaces/\(ns.name)/configmaps",
                    headers: ["Impersonate-User": "jane", "Impersonate-Group": "system:masters"])
                #expect(admin.code == 200)
            }
        }

        @Test func `a binding's role cannot be exchanged`() async throws {
            try await cluster.withNamespace { ns in
                try await bind(ns, "reader", to: robot(ns))
                let error = await refusal { () async throws(APIError) in
                    try await ns.patch(.merge, rbac("RoleBinding"), "bind-reader", ["roleRef": ["name": "other"]])
                }
                #expect(error.code == 422 && error.causes.first?.path == "roleRef", "\(error)")
            }
        }
    }
}
