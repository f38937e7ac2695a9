import KubeCore

extension CRDSchema {
    /// What is wrong with an object, worded as Kubernetes words it.
    func errors(in object: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        Self.check(object, root, at: "", &errors)
        return errors.sorted { $0.path < $1.path }
    }

    private static func check(_ value: JSONValue, _ schema: JSONValue, at path: String, _ errors: inout [FieldError]) {
        func invalid(_ why: String) {
            errors.append(FieldError(path: path, message: "Invalid value: \(shown(value)): \(path) in body \(why)"))
        }
        if value.isNull {
            if schema["nullable"] != true, schema["type"] != nil {
                invalid("must be of type \(typeName(schema)): \"null\"")
            }
            return
        }
        guard hasType(value, schema) else {
            return invalid("must be of type \(typeName(schema)): \"\(kind(of: value))\"")
        }
        if let allowed = schema["enum"]?.array, !allowed.contains(value) {
            let list = allowed.map { $0.serialized() }.joined(separator: ", ")
            errors.append(
                FieldError(path: path, message: "Unsupported value: \(shown(value)): supported values: \(list)"))
        }
        switch value {
        case .object(let members): check(members, schema, at: path, &errors)
        case .array(let elements):
            if let least = schema["minItems"]?.int, elements.count < least {
                invalid("should have at least \(least) items")
            }
            if let most = schema["maxItems"]?.int, elements.count > most {
                errors.append(
                    FieldError(path: path, message: "Too many: \(elements.count): must have at most \(most) items"))
            }
            for duplicate in duplicates(elements, schema) {
                errors.append(
                    FieldError(path: "\(path)[\(duplicate)]", message: "Duplicate value: \(shown(elements[duplicate]))")
                )
            }
            if let items = schema["items"] {
                for (index, element) in elements.enumerated() {
                    check(element, items, at: "\(path)[\(index)]", &errors)
                }
            }
        case .string(let text):
            if let least = schema["minLength"]?.int, text.unicodeScalars.count < least {
                invalid("should be at least \(least) chars long")
            }
            if let most = schema["maxLength"]?.int, text.unicodeScalars.count > most {
                errors.append(FieldError(path: path, message: "Too long: may not be more than \(most) bytes"))
            }
            if let pattern = schema["pattern"]?.string, !matches(text, pattern) { invalid("should match '\(pattern)'") }
            if let format = schema["format"]?.string, !hasFormat(text, format) {
                invalid("must be of type \(format): \(shown(value))")
            }
        case .int, .double:
            let number = value.double ?? 0
            if let least = schema["minimum"]?.double {
                if schema["exclusiveMinimum"] == true ? number <= least : number < least {
                    invalid(
                        "should be greater than \(schema["exclusiveMinimum"] == true ? "" : "or equal to ")\(bound(schema["minimum"]))"
                    )
                }
            }
            if let most = schema["maximum"]?.double {
                if schema["exclusiveMaximum"] == true ? number >= most : number > most {
                    invalid(
                        "should be less than \(schema["exclusiveMaximum"] == true ? "" : "or equal to ")\(bound(schema["maximum"]))"
                    )
                }
            }
            if let step = schema["multipleOf"]?.double, step != 0, (number / step).rounded() * step != number {
                invalid("should be a multiple of \(bound(schema["multipleOf"]))")
            }
        default: break
        }
        combinations(value, schema, at: path, &errors)
    }

    private static func check(
        _ members: JSONObject, _ schema: JSONValue, at path: String, _ errors: inout [FieldError]
    ) {
        func join(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
        for name in schema["required"]?.array?.compactMap(\.string) ?? [] where members[name] == nil {
            errors.append(FieldError(path: join(name), message: "Required value"))
        }
        if let least = schema["minProperties"]?.int, members.count < least {
            errors.append(FieldError(path: path, message: "Invalid value: should have at least \(least) properties"))
        }
        if let most = schema["maxProperties"]?.int, members.count > most {
            errors.append(
                FieldError(path: path, message: "Too many: \(members.count): must have at most \(most) items"))
        }
        let properties = schema["properties"]?.object ?? [:]
        let additional = schema["additionalProperties"].flatMap { $0.object == nil ? .none : $0 }
        for (name, member) in members {
            if schema["x-root"] != nil, name == "metadata" { continue }
            if let child = properties[name] ?? additional { check(member, child, at: join(name), &errors) }
        }
    }

    private static func combinations(
        _ value: JSONValue, _ schema: JSONValue, at path: String, _ errors: inout [FieldError]
    ) {
        func holds(_ schema: JSONValue) -> Bool {
            var found: [FieldError] = []
            check(value, schema, at: path, &found)
            return found.isEmpty
        }
        for part in schema["allOf"]?.array ?? [] { check(value, part, at: path, &errors) }
        if let any = schema["anyOf"]?.array, schema["x-kubernetes-int-or-string"] != true, !any.contains(where: holds) {
            errors.append(
                FieldError(
                    path: path, message: "Invalid value: \(shown(value)): must validate at least one schema (anyOf)"))
        }
        if let one = schema["oneOf"]?.array, one.filter(holds).count != 1 {
            errors.append(
                FieldError(
                    path: path, message: "Invalid value: \(shown(value)): must validate one and only one schema (oneOf)"
                ))
        }
        if let not = schema["not"], holds(not) {
            errors.append(
                FieldError(path: path, message: "Invalid value: \(shown(value)): must not validate the schema (not)"))
        }
    }

    // MARK: - Single rules

    private static func typeName(_ schema: JSONValue) -> String {
        schema["x-kubernetes-int-or-string"] == true ? "integer,string" : schema["type"]?.string ?? "object"
    }

    private static func hasType(_ value: JSONValue, _ schema: JSONValue) -> Bool {
        if schema["x-kubernetes-int-or-string"] == true { return value.string != nil || value.int != nil }
        return switch schema["type"]?.string {
        case "object": value.object != nil
        case "array": value.array != nil
        case "string": value.string != nil
        case "boolean": value.bool != nil
        case "integer": value.int != nil
        case "number": value.double != nil
        default: true
        }
    }

    private static func kind(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .int: "integer"
        case .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    /// Indexes of elements of a set, or of a map by its keys, that repeat an earlier one.
    private static func duplicates(_ elements: [JSONValue], _ schema: JSONValue) -> [Int] {
        let list = MergeSchema.List(schema)
        guard list != .atomic else { return [] }
        var seen: Set<String> = []
        return elements.indices.filter { index in
            guard let identity = FieldSet.element(elements[index], in: list) else { return false }
            return !seen.insert(identity).inserted
        }
    }

    private static func matches(_ text: String, _ pattern: String) -> Bool {
        // A pattern that Swift cannot read is not held against the object.
        guard let regex = try? Regex(pattern) else { return true }
        return (try? regex.firstMatch(in: text)) != nil
    }

    private static func hasFormat(_ text: String, _ format: String) -> Bool {
        switch format {
        case "date-time": KubeTime.parse(text) != nil
        case "byte": Base64.decode(text) != nil
        default: true
        }
    }

    private static func bound(_ value: JSONValue?) -> String { value?.serialized() ?? "" }

    private static func shown(_ value: JSONValue) -> String {
        let text = value.serialized()
        return text.count > 120 ? String(text.prefix(117)) + "..." : text
    }
}

extension MergeSchema.List {
    /// The list type that a custom resource's schema gives a list.
    init(_ schema: JSONValue) {
        switch schema["x-kubernetes-list-type"]?.string {
        case "set": self = .set
        case "map": self = .map(keys: schema["x-kubernetes-list-map-keys"]?.array?.compactMap(\.string) ?? [])
        default: self = .atomic
        }
    }
}
