package import KubeCore

extension Schema {
    /// The schema in a CRD's `openAPIV3Schema` form.
    package var openAPI: JSONValue {
        var out: JSONValue = ["description": .string(publishedDescription)]
        switch shape {
        case .object(let properties):
            out["type"] = "object"
            if !properties.isEmpty {
                out["properties"] = .object(
                    Dictionary(properties.map { ($0.name, $0.schema.openAPI) }, uniquingKeysWith: { $1 }))
            }
            let required = properties.filter(\.isRequired).map(\.name)
            if !required.isEmpty { out["required"] = JSONValue(required) }
            if isAtomic { out["x-kubernetes-map-type"] = "atomic" }
        case .map(let values):
            out["type"] = "object"
            out["additionalProperties"] = values.openAPI
        case .array(let items, let type):
            out["type"] = "array"
            out["items"] = items.openAPI
            switch type {
            case .atomic: out["x-kubernetes-list-type"] = "atomic"
            case .set: out["x-kubernetes-list-type"] = "set"
            case .map(let keys):
                out["x-kubernetes-list-type"] = "map"
                out["x-kubernetes-list-map-keys"] = JSONValue(keys)
            }
        case .string: out["type"] = "string"
        case .integer: out["type"] = "integer"
        case .number: out["type"] = "number"
        case .boolean: out["type"] = "boolean"
        }
        addConstraints(to: &out)
        return out
    }

    private func addConstraints(to out: inout JSONValue) {
        func number(_ value: Double) -> JSONValue { Int(exactly: value).map(JSONValue.int) ?? .double(value) }
        if keepsUnknown { out["x-kubernetes-preserve-unknown-fields"] = true }
        if let defaultValue { out["default"] = defaultValue }
        if !allowed.isEmpty { out["enum"] = JSONValue(allowed) }
        if let format { out["format"] = .string(format) }
        if let pattern { out["pattern"] = .string(pattern.expression) }
        if let minimum { out["minimum"] = number(minimum) }
        if let maximum { out["maximum"] = number(maximum) }
        if let minLength { out["minLength"] = .int(minLength) }
        if let maxLength { out["maxLength"] = .int(maxLength) }
        if let minItems { out["minItems"] = .int(minItems) }
        if let maxItems { out["maxItems"] = .int(maxItems) }
        if !rules.isEmpty {
            out["x-kubernetes-validations"] = .array(rules.map(\.openAPI))
        }
    }
}

extension Schema.Rule {
    /// One entry of `x-kubernetes-validations`.
    fileprivate var openAPI: JSONValue {
        var out: JSONValue = [
            "rule": .string(rule), "message": .string(message), "reason": .string(reason.rawValue),
        ]
        if let messageExpression { out["messageExpression"] = .string(messageExpression) }
        if let fieldPath { out["fieldPath"] = .string(fieldPath) }
        return out
    }
}
