-- Pairs of customers that may be one company and wait for a person, the likeliest first; private data masked.
with review as (

    select * from {{ source('pipeline', 'identity_review') }}

),

records as (

    select
        source || '-' || source_customer_id as record_id,
        customer_name,
        customer_kind,
        phone,
        region
    from {{ ref('int_customer_records') }}

),

persons as (

    select customer_id from {{ ref('int_customers') }}
    where customer_kind = 'consumer'

)

select
    cast(row_number() over (
        order by coalesce(review.match_weight, 0) desc, review.left_record_id asc, review.right_record_id asc
    ) as bigint) as review_rank,
    review.left_customer_id,
    review.right_customer_id,
    review.left_record_id,
    review.right_record_id,
    case
        when lefts.customer_kind = 'consumer' or left_persons.customer_id is not null
            then {{ mask_name('lefts.customer_name') }}
        else lefts.customer_name
    end as left_name,
    case
        when rights.customer_kind = 'consumer' or right_persons.customer_id is not null
            then {{ mask_name('rights.customer_name') }}
        else rights.customer_name
    end as right_name,
    lefts.region as left_region,
    rights.region as right_region,
    {{ mask_phone('lefts.phone') }} as left_phone_masked,
    {{ mask_phone('rights.phone') }} as right_phone_masked,
    review.reason,
    case review.reason
        when 'shared_key' then 'they share a key that two companies may share'
        when 'same_source' then 'two records of one source that look alike'
        when 'ambiguous' then 'the keys lead to more than one customer'
        when 'contradicted' then 'they agree, but other records of theirs do not'
        else 'they look alike, but not enough'
    end as reason_en,
    case review.reason
        when 'shared_key' then '共用同一联系方式,可能是两家公司'
        when 'same_source' then '同一系统中的两条相似记录'
        when 'ambiguous' then '匹配键指向多个客户'
        when 'contradicted' then '两条记录一致,但其所属客户存在矛盾'
        else '相似,但证据不足'
    end as reason_zh,
    review.agreed_keys,
    review.match_weight
from review
left join records as lefts
    on review.left_record_id = lefts.record_id
left join records as rights
    on review.right_record_id = rights.record_id
left join persons as left_persons
    on review.left_customer_id = left_persons.customer_id
left join persons as right_persons
    on review.right_customer_id = right_persons.customer_id
