//! Faults of a row, by the codes that receipts (回执) state.

use std::fmt;

use serde::{Serialize, Serializer};

/// The code of a fault or warning, in the order of the receipt's table: of several on one cell the first is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultCode {
    /// Required value missing.
    E101,
    /// Too long.
    E102,
    /// Not in the code list.
    E103,
    /// No such date.
    E104,
    /// Dates out of order, or in the future.
    E105,
    /// Not a number.
    E106,
    /// USCC: length or characters.
    E201,
    /// USCC: check digit.
    E202,
    /// 工商注册号 or resident id: check digit.
    E203,
    /// Repeats an earlier row of the same file.
    E301,
    /// Already published and unchanged: counted, not listed.
    E302,
    /// Withdrawn, and sent again with the same content.
    E303,
    /// A list of events: no record is known by what the row says.
    E401,
    /// … several records are.
    E402,
    /// … it may not be said about that record.
    E403,
    /// An amount that looks like 元 in a 万元 column.
    W102,
    /// USCC: check digit of the organisation code inside.
    W201,
}

/// One fault of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The member at fault.
    pub member: String,
    /// What is wrong.
    pub code: FaultCode,
    /// A sentence in Chinese that says what to do.
    pub message: String,
}

impl FaultCode {
    /// `E101` …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::E101 => "E101",
            Self::E102 => "E102",
            Self::E103 => "E103",
            Self::E104 => "E104",
            Self::E105 => "E105",
            Self::E106 => "E106",
            Self::E201 => "E201",
            Self::E202 => "E202",
            Self::E203 => "E203",
            Self::E301 => "E301",
            Self::E302 => "E302",
            Self::E303 => "E303",
            Self::E401 => "E401",
            Self::E402 => "E402",
            Self::E403 => "E403",
            Self::W102 => "W102",
            Self::W201 => "W201",
        }
    }

    /// Whether the row is published all the same.
    pub fn is_warning(self) -> bool {
        matches!(self, Self::W102 | Self::W201)
    }

    /// What it means, where there is nothing more to say about the value.
    pub fn message(self) -> &'static str {
        match self {
            Self::E101 => "必填项为空，请补填",
            Self::E102 => "内容超出规定长度，请缩短",
            Self::E103 => "取值不在代码表内，请按代码表填写",
            Self::E104 => "不是有效日期，请按“2024-03-05”的格式填写",
            Self::E105 => "日期先后有误（截止早于开始，或决定日期晚于今天），请核对",
            Self::E106 => "不是有效数字，请只填写数字",
            Self::E201 => "统一社会信用代码应为18位数字和大写字母（不含I、O、S、V、Z），请核对",
            Self::E202 => "统一社会信用代码校验位有误，请核对",
            Self::E203 => "工商注册号或身份证件号码校验位有误，请核对",
            Self::E301 => "与本文件中前面的一行重复",
            Self::E302 => "已共享且内容未变更",
            Self::E303 => "该信息已撤回，且内容与撤回时相同，未予共享；确应重新共享的，请更正内容或在备注中说明后重报",
            Self::E401 => "未找到相符的记录，请核对文号、代码和认定机关",
            Self::E402 => "有多条记录相符，请补充文号或认定机关",
            Self::E403 => "不得办理",
            Self::W102 => "金额较大，请确认单位为万元而不是元",
            Self::W201 => "统一社会信用代码中的组织机构代码校验位有误，已共享，请核对",
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FaultCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Fault {
    /// A fault with the code's own sentence.
    pub fn new(member: &str, code: FaultCode) -> Self {
        Self { member: member.to_owned(), code, message: code.message().to_owned() }
    }
}
