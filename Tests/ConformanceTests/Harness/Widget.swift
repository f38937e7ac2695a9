import KubeClient
import KubeCore

/// A custom resource with one field for each rule that a schema can state.
enum Widget {
    /// - Parameter change: applied to the whole definition.
    static func definition(group: String, plural: String = "widgets", kind: String = "Widget") -> KubeObject {
        var object = KubeObject(.customResourceDefinitions, name: "\(plural).\(group)")
        object.spec = [
            "group": .string(group), "scope": "Namespaced",
            "names": [
                "kind": .string(kind), "plural": .string(plural), "shortNames": [.string(kind.lowercased() + "x")],
                "categories": ["conformance"],
            ],
            "versions": [version("v1", storage: true)],
        ]
        return object
    }

    static func version(_ name: String, storage: Bool) -> JSONValue {
        [
            "name": .string(name), "served": true, "storage": .bool(storage),
            "subresources": [
                "status": [:],
                "scale": [
                    "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
                    "labelSelectorPath": ".status.selector",
                ],
            ],
            "selectableFields": [["jsonPath": ".spec.color"]],
            "additionalPrinterColumns": [
                ["name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How large."],
                [
                    "name": "Ready", "type": "string",
                    "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status",
                ],
                ["name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"],
                ["name": "Detail", "type": "string", "priority": 1, "jsonPath": ".spec.name"],
            ],
            "schema": ["openAPIV3Schema": schema],
        ]
    }

    static let schema: JSONValue = [
        "type": "object", "required": ["spec"],
        "properties": [
            "spec": [
                "type": "object", "required": ["color"],
                "x-kubernetes-validations": [
                    [
                        "rule": "!has(self.least) || self.least <= self.size",
                        "message": "least must not exceed size",
                    ]
                ],
                "properties": spec,
            ],
            "status": [
                "type": "object",
                "properties": [
                    "size": ["type": "integer"], "selector": ["type": "string"],
                    "conditions": [
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                        "items": [
                            "type": "object", "required": ["type", "status"],
                            "properties": ["type": ["type": "string"], "status": ["type": "string"]],
                        ],
                    ],
                ],
            ],
        ],
    ]

    private static let spec: JSONValue = [
        "color": ["type": "string", "enum": ["red", "green", "blue"]],
        "size": ["type": "integer", "minimum": 0, "maximum": 10, "default": 3],
        "least": ["type": "integer"],
        "ratio": ["type": "number", "minimum": 0, "exclusiveMinimum": true],
        "even": ["type": "integer", "multipleOf": 2],
        "name": ["type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5],
        "when": ["type": "string", "format": "date-time"],
        "flag": ["type": "boolean", "default": true],
        "port": ["x-kubernetes-int-or-string": true],
        "maybe": ["type": "string", "nullable": true],
        "fallback": ["type": "string", "default": "none"],
        "extra": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
        "map": ["type": "object", "additionalProperties": ["type": "integer"], "maxProperties": 2],
        "limits": [
            "type": "object", "default": [:],
            "properties": ["cpu": ["type": "string", "default": "1"], "memory": ["type": "string"]],
        ],
        "atomic": ["type": "array", "maxItems": 3, "items": ["type": "string"]],
        "tags": ["type": "array", "items": ["type": "string"], "x-kubernetes-list-type": "set"],
        "steps": [
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
            "items": [
                "type": "object", "required": ["id"],
                "properties": ["id": ["type": "string"], "weight": ["type": "integer"], "note": ["type": "string"]],
            ],
        ],
        "whole": [
            "type": "object", "x-kubernetes-map-type": "atomic",
            "properties": ["a": ["type": "string"], "b": ["type": "string"]],
        ],
        "template": [
            "type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true,
        ],
        "choice": [
            "type": "object", "properties": ["a": ["type": "string"], "b": ["type": "string"]],
            "oneOf": [["required": ["a"]], ["required": ["b"]]],
        ],
    ]
}

/// A custom resource without subresources, that keeps whatever it is given.
enum Plain {
    static func definition(group: String) -> KubeObject {
        var object = KubeObject(.customResourceDefinitions, name: "plains.\(group)")
        object.spec = [
            "group": .string(group), "scope": "Namespaced", "names": ["kind": "Plain", "plural": "plains"],
            "versions": [
                [
                    "name": "v1", "served": true, "storage": true,
                    "schema": ["openAPIV3Schema": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]],
                ]
            ],
        ]
        return object
    }
}

extension Widget {
    /// A red one, with whatever `spec` adds.
    static func object(_ name: String, _ spec: JSONValue = [:]) -> KubeObject {
        var members: JSONValue = ["color": "red"]
        members = members.merging(spec)
        return KubeObject(json: [
            "kind": "Widget", "metadata": ["name": .string(name)], "spec": members,
        ])
    }
}

extension Cluster {
    /// Runs a test of custom resources in a namespace of its own at one of their homes.
    func withWidgets(
        at home: Definitions.Home, _ body: (TestNamespace, GroupVersionResource) async throws -> Void
    ) async throws {
        try await withNamespace { ns in
            let client = definitions.clients[home] ?? client
            try await body(TestNamespace(cluster: self, name: ns.name, override: client), definitions.widgets)
        }
    }
}
