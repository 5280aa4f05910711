//! An upload of invented penalties, of any length.

use std::fmt::Write as _;
use std::path::Path;

use kaopu::record::identifier::{Uscc, is_organisation_code};

/// Columns of the layout `chinese`, and of which the file has a value in each row.
const HEADERS: &str = "行政相对人名称,行政相对人类别,行政相对人代码_1(统一社会信用代码),法定代表人,行政处罚决定书文号,\
    违法行为类型,违法事实,处罚依据,处罚类别,处罚内容,罚款金额(万元),处罚决定日期,处罚有效期,公示截止期,处罚机关,\
    处罚机关统一社会信用代码,数据来源单位,数据来源单位统一社会信用代码,备注";

/// Writes a file of invented penalties in the layout `chinese`. Each row of a number that `faulty` divides lacks its
/// 文号, and is sent back.
pub fn write(file: &Path, rows: u64, faulty: u64) {
    let mut text = format!("{HEADERS}\n");
    let (authority, source) = (uscc(1), uscc(2));
    for row in 0..rows {
        let (enterprise, month, day) = (row / 3, row % 12 + 1, row % 28 + 1);
        let number = if (row + 1) % faulty == 0 { String::new() } else { format!("马市监罚〔2025〕{row}号") };
        let name = format!("马鞍山示例第{enterprise}建材有限公司");
        let code = uscc(100 + enterprise);
        let _ = writeln!(
            text,
            "{name},法人及非法人组织,{code},示例某,{number},生产经营不符合标准的产品,\
             经查，该单位于2025年{month}月{day}日生产示例产品一批，经抽样检验，其中一项指标不符合强制性国家标准的要求,\
             《中华人民共和国产品质量法》第四十九条,罚款；没收违法所得、没收非法财物,\
             责令停止生产，没收违法生产的产品，并处货值金额等值的罚款,{}.{:02},2025-{month:02}-{day:02},\
             2099-12-31,2028-{month:02}-{day:02},马鞍山市示例监督管理局,{authority},马鞍山市示例监督管理局,{source},",
            row % 90,
            row % 99,
        );
    }
    std::fs::write(file, text).unwrap();
}

/// The 统一社会信用代码 of an invented number, all its check digits right.
fn uscc(number: u64) -> String {
    let organisation = one_of("0123456789X", |check| format!("MA{number:06}{check}"), is_organisation_code);
    let with_check = |check| format!("91340500{organisation}{check}");
    one_of("0123456789ABCDEFGHJKLMNPQRTUWXY", with_check, |code| Uscc::parse(code).is_ok())
}

fn one_of(checks: &str, code: impl Fn(char) -> String, is_right: impl Fn(&str) -> bool) -> String {
    checks.chars().map(code).find(|code| is_right(code)).unwrap()
}
