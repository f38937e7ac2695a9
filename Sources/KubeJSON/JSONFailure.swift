/// What is wrong with a JSON text, and at which byte of it.
///
/// Trivial, so that throwing one costs nothing; `JSONLocator` finds the path of an offset when somebody asks.
@frozen
package struct JSONFailure: Error, Equatable, Sendable {
    @frozen
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// The text ends in the middle of a value; of a text that still arrives: wait for more.
        case truncated
        case expectedValue, expectedObject, expectedArray, expectedString, expectedInteger, expectedBool
        case expectedName, expectedColon, expectedCommaOrBrace, expectedCommaOrBracket
        case malformedNumber, leadingZero, numberOutOfRange
        case controlCharacter, unknownEscape, malformedUnicodeEscape, loneSurrogate, invalidUTF8
        case duplicateMember
        case tooDeep, tooLarge
        case trailingText
    }

    package var kind: Kind
    /// In bytes from the start of the text.
    package var offset: Int

    @inlinable
    package init(_ kind: Kind, at offset: Int) {
        self.kind = kind
        self.offset = offset
    }
}

extension JSONFailure.Kind {
    /// What is wrong, as part of a sentence.
    package var message: String {
        switch self {
        case .truncated: "the text ends in the middle of a value"
        case .expectedValue: "expected a value"
        case .expectedObject: "expected an object"
        case .expectedArray: "expected a list"
        case .expectedString: "expected a string"
        case .expectedInteger: "expected a whole number of at most 64 bits"
        case .expectedBool: "expected true or false"
        case .expectedName: "expected a member name in quotes"
        case .expectedColon: "expected ':' after the member name"
        case .expectedCommaOrBrace: "expected ',' or '}'"
        case .expectedCommaOrBracket: "expected ',' or ']'"
        case .malformedNumber: "a malformed number"
        case .leadingZero: "a number with a leading zero"
        case .numberOutOfRange: "a number out of range"
        case .controlCharacter: "a control character inside a string"
        case .unknownEscape: "an unknown escape"
        case .malformedUnicodeEscape: "\\u needs four hexadecimal digits"
        case .loneSurrogate: "half of a surrogate pair"
        case .invalidUTF8: "a string that is not UTF-8"
        case .duplicateMember: "a duplicate member"
        case .tooDeep: "nested too deep"
        case .tooLarge: "a value that is too large"
        case .trailingText: "text after the end of the value"
        }
    }
}
