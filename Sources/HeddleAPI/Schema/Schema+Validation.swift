package import KubeCore

extension Schema {
    /// What of a value does not fit, in order of the schema. Members that the schema does not know are no error: the API
    /// server prunes them, or refuses them under strict field validation. CEL rules are the API server's; their Swift
    /// twins are each spec's `validate()`.
    package func validate(_ value: JSONValue, at path: String) -> [FieldError] {
        func fault(_ message: String) -> [FieldError] { [FieldError(path: path, message: message)] }
        switch (shape, value) {
        case (.object(let properties), .object(let members)):
            return properties.flatMap { property -> [FieldError] in
                let place = path.isEmpty ? property.name : "\(path).\(property.name)"
                guard let member = members[property.name] else {
                    return property.isRequired
                        ? [FieldError(path: place, message: "is required: \(property.schema.description)")] : []
                }
                return property.schema.validate(member, at: place)
            }
        case (.map(let values), .object(let members)):
            return members.sorted { $0.key < $1.key }.flatMap { values.validate($0.value, at: "\(path)[\($0.key)]") }
        case (.array(let items, let type), .array(let elements)):
            return validate(elements, of: items, type, at: path)
        case (.string, .string(let text)):
            return validate(text).map(fault) ?? []
        case (.integer, _) where value.int != nil, (.number, _) where value.double != nil:
            return validate(value.double ?? 0).map(fault) ?? []
        case (.boolean, .bool):
            return []
        default:
            return fault("must be \(noun), not \(value.serialized())")
        }
    }

    private var noun: String {
        switch shape {
        case .object, .map: "an object"
        case .array: "a list"
        case .string: "a string"
        case .integer: "a whole number"
        case .number: "a number"
        case .boolean: "true or false"
        }
    }

    private func validate(_ text: String) -> String? {
        if !allowed.isEmpty, !allowed.contains(text) {
            return "'\(text)' is not one of \(allowed.joined(separator: ", "))"
        }
        if let minLength, text.unicodeScalars.count < minLength {
            return minLength == 1 ? "must not be empty" : "must have at least \(minLength) characters"
        }
        if let maxLength, text.unicodeScalars.count > maxLength { return "must have at most \(maxLength) characters" }
        if let pattern, let regex = try? Regex(pattern.expression), text.wholeMatch(of: regex) == nil {
            return "'\(text)' must be \(pattern.meaning)"
        }
        // Written back, a day beyond the month's end has become another day.
        if format == "date", Timestamp("\(text)T00:00:00Z")?.description.hasPrefix(text) != true {
            return "'\(text)' is not in the calendar; write e.g. 2026-12-31"
        }
        if format == "date-time", Timestamp(text) == nil {
            return "'\(text)' must be a time such as 2026-01-31T12:00:00Z"
        }
        return nil
    }

    private func validate(_ number: Double) -> String? {
        func shown(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? String(value) }
        if let minimum, number < minimum { return "\(shown(number)) must be at least \(shown(minimum))" }
        if let maximum, number > maximum { return "\(shown(number)) must be at most \(shown(maximum))" }
        return nil
    }

    private func validate(_ elements: [JSONValue], of items: Schema, _ type: ListType, at path: String) -> [FieldError]
    {
        var faults: [FieldError] = []
        if let minItems, elements.count < minItems {
            faults.append(FieldError(path: path, message: "must have at least \(minItems) entries"))
        }
        if let maxItems, elements.count > maxItems {
            faults.append(FieldError(path: path, message: "must have at most \(maxItems) entries"))
        }
        var seen: Set<JSONValue> = []
        for (index, element) in elements.enumerated() {
            faults += items.validate(element, at: "\(path)[\(index)]")
            let key: JSONValue? =
                switch type {
                case .atomic: nil
                case .set: element
                case .map(let keys): .array(keys.map { element[$0] ?? .null })
                }
            if let key, !seen.insert(key).inserted {
                faults.append(FieldError(path: "\(path)[\(index)]", message: "is there twice: \(key.serialized())"))
            }
        }
        return faults
    }
}
